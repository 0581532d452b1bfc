// A generator as ONNX, run by onnxruntime-web: latents and labels in, pixels out.
import * as ort from "./ort.wasm.bundle.min.mjs";

ort.env.wasm.numThreads = 1; // several need headers that a plain server does not send
ort.env.wasm.wasmPaths = { wasm: new URL("ort-wasm-simd-threaded.wasm", import.meta.url).href };

const sessions = new Map();

// The session of a file, made once.
export function load(file) {
  if (!sessions.has(file)) {
    const made = fetch(file).then(async (answer) => {
      if (!answer.ok) throw new Error(`${file} could not be loaded: ${answer.status} ${answer.statusText}`);
      return ort.InferenceSession.create(await answer.arrayBuffer(), { executionProviders: ["wasm"] });
    });
    made.catch(() => sessions.delete(file)); // so that it is tried again
    sessions.set(file, made);
  }
  return sessions.get(file);
}

let last = Promise.resolve();

// Pixels in 0..255, (n, channels, height, width), of n latents; labels: a class for each, or null. One after the other.
export function draw(file, latents, labels) {
  last = last.catch(() => {}).then(() => run(file, latents, labels));
  return last;
}

async function run(file, latents, labels) {
  const generator = await load(file);
  const n = latents.length;
  const rows = new Float32Array(n * latents[0].length);
  latents.forEach((row, i) => rows.set(row, i * row.length));
  const inputs = { latents: new ort.Tensor("float32", rows, [n, latents[0].length]) };
  if (labels) inputs.labels = new ort.Tensor("int64", BigInt64Array.from(labels, BigInt), [n]);
  const { images } = await generator.run(inputs);
  return Uint8ClampedArray.from(images.data, (value) => Math.round((value + 1) * 127.5));
}

// Show images side by side on a canvas, a pixel for a pixel.
export function show(canvas, pixels, { channels, resolution }, columns = 1) {
  const [area, size] = [resolution ** 2, channels * resolution ** 2];
  const n = pixels.length / size;
  canvas.width = columns * resolution;
  canvas.height = Math.ceil(n / columns) * resolution;
  const context = canvas.getContext("2d");
  for (let i = 0; i < n; i += 1) {
    const image = new ImageData(resolution, resolution);
    for (let j = 0; j < area; j += 1) {
      for (let colour = 0; colour < 3; colour += 1)
        image.data[4 * j + colour] = pixels[i * size + (channels === 1 ? 0 : colour * area) + j];
      image.data[4 * j + 3] = 255;
    }
    context.putImageData(image, (i % columns) * resolution, Math.floor(i / columns) * resolution);
  }
}
