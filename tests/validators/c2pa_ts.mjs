// Validates MP4 files with @trustnxt/c2pa-ts, a TypeScript implementation that shares no code with c2pa-rs.
//
// node c2pa_ts.mjs FILE...; prints for each file {"file", "isValid", "codes", "failures"} or {"file", "error"}.
// It knows no trust list, so it never says who signed; it validates the active manifest, not what is below it.
import { readFileSync } from 'node:fs';
import { BMFF } from '@trustnxt/c2pa-ts/asset';
import { SuperBox } from '@trustnxt/c2pa-ts/jumbf';
import { ManifestStore } from '@trustnxt/c2pa-ts/manifest';

// It only knows the brands of still images; films have the same boxes.
for (const brand of ['isom', 'iso2', 'iso4', 'iso5', 'iso6', 'mp41', 'mp42', 'avc1', 'qt  ', 'M4V ']) {
  BMFF.canReadBrands.add(brand);
}

async function validate(file) {
  const bytes = readFileSync(file);
  if (!BMFF.canRead(bytes)) return { file, error: 'not a BMFF file of a known brand' };
  const asset = new BMFF(bytes);
  const jumbf = asset.getManifestJUMBF();
  if (!jumbf) return { file, error: 'no manifest' };
  const store = ManifestStore.read(SuperBox.fromBuffer(jumbf));
  const result = await store.validate(asset);
  const entries = result.statusEntries.map(({ code, success, explanation }) => ({ code, success, explanation }));
  return {
    file,
    isValid: result.isValid,
    codes: entries.filter((entry) => entry.success).map((entry) => entry.code),
    failures: entries.filter((entry) => !entry.success),
  };
}

for (const file of process.argv.slice(2)) {
  const answer = await validate(file).catch((error) => ({ file, error: String(error) }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
