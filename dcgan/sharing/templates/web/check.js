// The page holds what it draws against what Python drew of the same latents.
import { draw, show } from "./generator.js";

const ALLOWED = 1; // of 255: where rounding falls the other way

// Draw and compare; returns the words to show, and whether all is well.
export async function check(file, model, canvas) {
  const { latents, labels, pixels } = await (await fetch("check.json")).json();
  const wanted = Uint8Array.from(atob(pixels), (letter) => letter.charCodeAt(0));
  const found = await draw(file, latents, labels);
  show(canvas, found, model, 8);
  const worst = found.length === wanted.length
    ? found.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i])), 0) : 255;
  const well = worst <= ALLOWED;
  const words = `the ${latents.length} pictures drawn here ${well ? "are" : "are NOT"} those that Python drew`;
  return { well, words: `Checked: ${words} (largest difference ${worst} of 255).` };
}
