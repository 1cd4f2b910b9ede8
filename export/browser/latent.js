// What a latent is made of, and how to change one part of it: plain numbers, no page.
'use strict';


/** Where each part lies: {content: [start, end], …}, of {content: length, …} in order. */
function placesOf(parts) {
  const places = {};
  let start = 0;
  for (const [name, length] of Object.entries(parts)) {
    places[name] = [start, start + length];
    start += length;
  }
  return places;
}

/** How far a latent lies along a direction of its content. */
function along(z, [start], direction) {
  return direction.reduce((sum, value, at) => sum + value * z[start + at], 0);
}

/** A copy moved along a direction of its content, to this place on it. */
function movedTo(z, place, direction, target) {
  const step = target - along(z, place, direction);
  const moved = z.slice();
  direction.forEach((value, at) => { moved[place[0] + at] += step * value; });
  return moved;
}

/** A copy with one part as in another latent. */
function withPart(z, [start, end], other) {
  const changed = z.slice();
  changed.set(other.subarray(start, end), start);
  return changed;
}

/** The signs of some latents as a whole number, the first the highest. */
function numberOf(z, indices) {
  return indices.reduce((number, at) => 2 * number + (z[at] > 0 ? 1 : 0), 0);
}

/** A copy whose signs there are such a number; sizes stay. It goes round at the ends. */
function withNumber(z, indices, number) {
  const changed = z.slice(), count = 2 ** indices.length;
  let rest = ((number % count) + count) % count;
  for (const at of indices.toReversed ? indices.toReversed() : [...indices].reverse()) {
    const size = Math.abs(z[at]) || 1e-3;
    changed[at] = rest % 2 ? size : -size;
    rest = Math.floor(rest / 2);
  }
  return changed;
}

/** The controls that step: label, which latents, and whether the number shown counts down while the latents count up. */
function steppers(places) {
  const rows = [];
  const range = ([start, end]) => Array.from({ length: end - start }, (_, at) => start + at);
  if (places.kind) rows.push({ part: 'kind', label: 'Kind', indices: range(places.kind) });
  if (places.shift) {
    const all = range(places.shift);
    // A crop that begins later shows all further to the left, so the signs count against the way.
    rows.push({ part: 'shift', label: 'Right', unit: 'px', turned: true, indices: all.filter((_, at) => at % 2 === 1) });
    rows.push({ part: 'shift', label: 'Down', unit: 'px', turned: true, indices: all.filter((_, at) => at % 2 === 0) });
  }
  return rows;
}

/** Between two latents, t from 0 to 1: their content on the arc between them, all else of the first.
 *
 * Signs of the other parts would jump on the way. The arc keeps lengths that the network knows: White, "Sampling
 * generative networks", 2016, section 2.1.
 */
function between(one, other, [start, end], t) {
  const a = one.subarray(start, end), b = other.subarray(start, end);
  const dot = (x, y) => x.reduce((sum, value, at) => sum + value * y[at], 0);
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)) || 0;
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const [ofA, ofB] = angle < 1e-3 || Math.PI - angle < 1e-3
    ? [1 - t, t]
    : [Math.sin((1 - t) * angle) / Math.sin(angle), Math.sin(t * angle) / Math.sin(angle)];
  const mixed = one.slice();
  for (let at = 0; at < a.length; at++) mixed[start + at] = ofA * a[at] + ofB * b[at];
  return mixed;
}
