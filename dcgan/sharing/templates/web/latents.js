// Latents: drawn at random from a seed, steered, and walked between.

// Uniform numbers in [0, 1) (mulberry32, T. Ettinger 2017): the same for a seed in every browser.
function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

// The first n normal numbers of a seed (Box and Muller 1958).
export function normals(seed, n) {
  const next = uniform(seed);
  const found = new Float32Array(n);
  for (let i = 0; i < n; i += 2) {
    const length = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    found[i] = length * Math.cos(angle);
    if (i + 1 < n) found[i + 1] = length * Math.sin(angle);
  }
  return found;
}

const dot = (one, other) => one.reduce((sum, value, i) => sum + value * other[i], 0);

// Along the great circle from one latent to another (Shoemake 1985, section 3.3), `share` of the way.
export function slerp(start, end, share) {
  const cosine = dot(start, end) / Math.sqrt(dot(start, start) * dot(end, end));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (Math.sin(angle) < 1e-6) return start.map((value, i) => value + share * (end[i] - value));
  const [one, other] = [Math.sin((1 - share) * angle), Math.sin(share * angle)].map((part) => part / Math.sin(angle));
  return start.map((value, i) => one * value + other * end[i]);
}

// Moved along each direction by as much as `amounts` says.
export function steered(latents, directions, amounts) {
  const found = latents.slice();
  amounts.forEach((amount, i) => directions[i].forEach((part, j) => { found[j] += amount * part; }));
  return found;
}
