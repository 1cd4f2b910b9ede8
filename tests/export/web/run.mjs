// What a browser would run: onnxruntime-web's WebAssembly backend, under Node. Called by tests/export/test_runtimes.py.
// Reads jobs from standard input, JSON [[MODEL, NAME, Z_DIM], …]: runs the raw float32 latents in NAME.z through MODEL,
// writes each output to NAME.OUTPUT, raw, and prints the shapes by output, as JSON.

import { readFileSync, writeFileSync } from 'node:fs';
import { InferenceSession, Tensor } from 'onnxruntime-web';

const shapes = [];
for (const [model, name, zDim] of JSON.parse(readFileSync(0))) {
  const session = await InferenceSession.create(readFileSync(model), { executionProviders: ['wasm'] });
  const values = new Float32Array(new Uint8Array(readFileSync(`${name}.z`)).buffer);
  const z = new Tensor('float32', values, [values.length / zDim, zDim]);
  const outputs = Object.entries(await session.run({ z }));
  for (const [output, { data }] of outputs) writeFileSync(`${name}.${output}`, data);
  shapes.push(Object.fromEntries(outputs.map(([output, { dims }]) => [output, dims])));
}
console.log(JSON.stringify(shapes));
