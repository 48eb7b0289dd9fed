
"use strict";
{
  const table = document.getElementById("clips");
  const select = document.getElementById("sort");
  const buttons = [...table.tHead.querySelectorAll("button")];
  let key = "name";
  let isDown = false;

  // What was not measured comes last, whichever way the rest goes.
  const compare = (one, other) => {
    if (key === "name") return one.dataset.name.localeCompare(other.dataset.name) * (isDown ? -1 : 1);
    const a = one.getAttribute("data-" + key);
    const b = other.getAttribute("data-" + key);
    if (a === null || b === null) return (a === null) - (b === null);
    return (Number(a) - Number(b)) * (isDown ? -1 : 1);
  };

  const sort = (wanted, down) => {
    key = wanted;
    isDown = down;
    table.append(...[...table.tBodies].sort(compare));
    select.value = key;
    for (const button of buttons) {
      const cell = button.parentElement;
      if (button.dataset.key === key) cell.setAttribute("aria-sort", isDown ? "descending" : "ascending");
      else cell.removeAttribute("aria-sort");
    }
  };

  for (const button of buttons) {
    button.addEventListener("click", () => sort(button.dataset.key, button.dataset.key === key && !isDown));
  }
  select.addEventListener("change", () => sort(select.value, false));
  document.getElementById("turn").addEventListener("click", () => sort(key, !isDown));
}
