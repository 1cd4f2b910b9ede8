// The generator in onnxruntime-web, of what lies in the page's scripts: nothing is fetched, so that a double click
// works, too.
'use strict';

/** Bytes of base64 of gzip. */
async function unpacked(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at++) bytes[at] = binary.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** A function of {inputs: {name: Float32Array}, label} that gives {pixels, masks, milliseconds}; masks where it has them. */
async function loadNetwork() {
  const [loader, program, model] = await Promise.all([RUNTIME.loader, RUNTIME.program, MODEL].map(unpacked));
  RUNTIME = MODEL = null; // some 40 MB of text
  ort.env.logLevel = 'error';
  ort.env.wasm.numThreads = 1; // more need headers that a double click does not send
  ort.env.wasm.wasmBinary = program.buffer;
  ort.env.wasm.wasmPaths = { mjs: URL.createObjectURL(new Blob([loader], { type: 'text/javascript' })) };
  const session = await ort.InferenceSession.create(model, { executionProviders: ['wasm'] });
  const wanted = GENERATOR.masks ? ['pixels', 'masks'] : ['pixels'];
  return async ({ inputs, label }) => {
    const start = performance.now();
    const feeds = {};
    for (const [name, { shape }] of Object.entries(GENERATOR.inputs)) {
      feeds[name] = new ort.Tensor('float32', inputs[name], [1, ...shape]);
    }
    if (GENERATOR.classes.length) feeds.label = new ort.Tensor('int64', BigInt64Array.of(BigInt(label)), [1]);
    const made = await session.run(feeds, wanted);
    return { pixels: made.pixels.data, masks: made.masks?.data, milliseconds: performance.now() - start };
  };
}
