// Keys, synchronised players and selection. Every page works without this, with links and forms alone.

const all = (selector) => [...document.querySelectorAll(selector)];
const one = (selector) => document.querySelector(selector);

// Keys: whatever bears data-key is followed, chosen or focused.

function isTyping(target) {
  return target.matches("textarea, select, input:not([type=checkbox], [type=radio])");
}

function act(element) {
  if (element.matches("input[type=radio]")) {
    element.checked = true;
    element.dispatchEvent(new Event("change", { bubbles: true }));
    element.form.elements.reason.focus();
  } else if (element.matches("textarea")) {
    element.focus();
  } else {
    element.click();
  }
}

function onKey(event) {
  if (event.key === "Enter" && event.ctrlKey && event.target.form) {
    event.preventDefault();
    event.target.form.requestSubmit();
    return;
  }
  if (event.key === "Escape" && isTyping(event.target)) {
    event.target.blur();
    return;
  }
  const isHeld = event.ctrlKey || event.metaKey || event.altKey;
  if (isHeld || isTyping(event.target) || one("dialog[open]")) return;
  // A button or link in focus answers to Space and Enter by itself.
  if (event.key === " " && event.target.matches("button, summary, input")) return;
  const found = all("[data-key]").find((element) => element.dataset.key === event.key && !element.disabled);
  if (found) {
    event.preventDefault();
    act(found);
  } else if (rows.length && moveInQueue(event)) {
    event.preventDefault();
  }
}

// The queue: j and k walk the rows, x selects, Enter opens.

const rows = all(".rows tbody tr:has(a)");

function moveInQueue(event) {
  const here = rows.indexOf(document.activeElement?.closest("tr"));
  if (event.key === "j" || event.key === "k") {
    const next = Math.min(rows.length - 1, Math.max(0, here + (event.key === "j" ? 1 : -1)));
    rows[next].querySelector("a").focus();
    rows[next].scrollIntoView({ block: "nearest" });
    return true;
  }
  if (event.key === "x" && here >= 0) {
    rows[here].querySelector("input").click();
    return true;
  }
  return false;
}

function countSelected() {
  const boxes = all(".rows input[name=clip]");
  const num = boxes.filter((box) => box.checked).length;
  one("#num-selected").textContent = num;
  one("#all").checked = num > 0 && num === boxes.length;
  one("#all").indeterminate = num > 0 && num < boxes.length;
}

if (one("#bulk")) {
  one("#all").addEventListener("change", (event) => {
    for (const box of all(".rows input[name=clip]")) box.checked = event.target.checked;
    countSelected();
  });
  one(".rows").addEventListener("change", countSelected);
  countSelected();
}

// The players: the near one leads, the far one follows at its own rate.

const near = one("#near");
const far = one("#far");
const MAX_DRIFT = 0.12;

const startOf = (video) => Number(video.dataset.start);
const endOf = (video) => Number(video.dataset.end);
const rate = Number(one("#players")?.dataset.rate ?? 1);
const leader = near ?? far;

function followed() {
  return startOf(far) + (near.currentTime - startOf(near)) * rate;
}

function align(tolerance) {
  if (!near || !far || far.error || near.error) return;
  const wanted = Math.max(0, followed());
  if (Math.abs(far.currentTime - wanted) > tolerance) far.currentTime = wanted;
}

function seekBoth(seconds) {
  leader.currentTime = seconds;
  if (leader === near) align(0);
}

function restart() {
  if (leader) seekBoth(startOf(leader));
}

function playing() {
  return [near, far].filter((video) => video && !video.error);
}

function toggle() {
  if (!leader) return;
  if (leader.paused) {
    if (leader.currentTime >= endOf(leader) - 0.05 || leader.currentTime < startOf(leader) - 0.05) restart();
    for (const video of playing()) video.play().catch(() => {});
  } else {
    for (const video of playing()) video.pause();
  }
}

function step(direction) {
  if (!leader) return;
  for (const video of playing()) video.pause();
  seekBoth(Math.max(startOf(leader), leader.currentTime + direction * Number(leader.dataset.frame)));
}

function showUnplayable(video) {
  video.hidden = true;
  video.parentElement.querySelector(".unplayable").hidden = false;
}

for (const video of [near, far]) {
  if (!video) continue;
  const begin = () => { video.currentTime = startOf(video); };
  if (video.readyState >= 1) begin();
  else video.addEventListener("loadedmetadata", begin, { once: true });
  video.addEventListener("error", () => showUnplayable(video));
  if (video.error) showUnplayable(video);
}
if (far) {
  // Browsers take rates within these bounds.
  far.defaultPlaybackRate = Math.min(16, Math.max(0.0625, rate));
  far.playbackRate = far.defaultPlaybackRate;
}
if (leader) {
  leader.addEventListener("timeupdate", () => {
    if (leader.currentTime >= endOf(leader)) restart();
    else align(MAX_DRIFT);
  });
  leader.addEventListener("ended", () => { restart(); toggle(); });
}

one("#play")?.addEventListener("click", toggle);
one("#restart")?.addEventListener("click", restart);
one("#back")?.addEventListener("click", () => step(-1));
one("#forth")?.addEventListener("click", () => step(1));

for (const picture of all(".strip img")) {
  const gone = () => {
    picture.hidden = true;
    picture.parentElement.querySelector(".unplayable").hidden = false;
  };
  picture.addEventListener("error", gone);
  if (picture.complete && picture.naturalWidth === 0) gone();
}

one("#help-button")?.addEventListener("click", () => one("#help").showModal());
document.addEventListener("keydown", onKey);
document.documentElement.dataset.ready = "1";
