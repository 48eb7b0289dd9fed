// Validates files with @contentauth/c2pa-wasm, which is what the public verify site runs.
//
// node c2pa_wasm.mjs ANCHORS.pem MEDIA_TYPE FILE...; prints for each file {"file", "state", "failures"} or
// {"file", "error"}. Its core is the Rust library that c2pa-python wraps; the cryptography below it is another.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import init, { WasmReader } from '@contentauth/c2pa-wasm';

// Node fetches no file: addresses, so the module is handed over as bytes.
await init({ module_or_path: readFileSync(fileURLToPath(import.meta.resolve('@contentauth/c2pa-wasm/c2pa.wasm'))) });

const [anchors, mediaType, ...files] = process.argv.slice(2);
const settings = JSON.stringify({
  version: 1,
  trust: {
    user_anchors: readFileSync(anchors, 'utf8'),
    trust_config: '1.3.6.1.5.5.7.3.4\n1.3.6.1.5.5.7.3.36\n1.3.6.1.4.1.62558.2.1\n',
  },
  verify: { verify_trust: true, verify_timestamp_trust: true, remote_manifest_fetch: false, ocsp_fetch: false },
});

function failures(results) {
  const active = results.activeManifest?.failure ?? [];
  const deltas = (results.ingredientDeltas ?? []).flatMap((delta) => delta.validationDeltas.failure ?? []);
  return [...active, ...deltas].map((failure) => failure.code);
}

async function validate(file) {
  const reader = await WasmReader.fromBytes(mediaType, new Uint8Array(readFileSync(file)), settings);
  const store = JSON.parse(reader.json());
  reader.free();
  return { file, state: store.validation_state, failures: failures(store.validation_results ?? {}) };
}

for (const file of files) {
  const answer = await validate(file).catch((error) => ({ file, error: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
