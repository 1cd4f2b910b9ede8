// The page: its controls, and the image that they decide.
'use strict';

const of = (id) => document.getElementById(id);
const places = placesOf(GENERATOR.parts);
const content = places.content ?? [0, 0];
const LARGEST_SEED = 2n ** 64n - 1n, LARGEST_INDEX = 10 ** 12;
const WORDS = { kind: 'kind', shift: 'place', noise: 'grain' };

let now = null; // what is shown: {inputs, label, from}; from is [seed, index], or null where a hand changed it
const walkEnds = [null, null]; // where it begins and ends, as `now`
let network, shown, playing = 0;

// --- what is shown

let wanted = null, busy = false;

/** Show it; of several that come while one is made only the last is made. */
async function show(next) {
  wanted = now = next;
  write();
  if (busy) return;
  busy = true;
  document.body.dataset.state = 'busy';
  try {
    while (wanted) {
      const making = wanted;
      wanted = null;
      shown = await network(making);
      draw(of('image'), shown);
      say('');
      of('time').textContent = `${shown.milliseconds.toFixed(0)} ms an image`;
      await new Promise(requestAnimationFrame);
    }
    document.body.dataset.state = 'ready';
  } catch (error) {
    fail(error);
  } finally {
    busy = false;
  }
}

function say(text) {
  of('status').textContent = text;
}

function fail(error) {
  document.body.dataset.state = 'failed';
  const other = location.protocol === 'file:' ? ' Try it at an address: gan-export page --serve.' : '';
  say(`This browser does not run it: ${error.message ?? error}.${other}`);
}

/** Values of so many channels, row by row, as RGBA. */
function colours(pixels, channels = GENERATOR.channels) {
  const { width, height } = GENERATOR;
  const image = new ImageData(width, height);
  for (let at = 0; at < width * height; at++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * at + channel] = pixels[channels * at + (channels === 3 ? channel : 0)];
    }
    image.data[4 * at + 3] = 255;
  }
  return image;
}

/** With the pixels just outside of the mask in magenta where that is asked for. */
function draw(canvas, made) {
  const image = colours(made.pixels), { width, height } = GENERATOR;
  const inside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && made.masks[y * width + x] > 0;
  if (made.masks && of('outline').checked) {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const touches = inside(x - 1, y) || inside(x + 1, y) || inside(x, y - 1) || inside(x, y + 1);
        if (touches && !inside(x, y)) image.data.set([255, 0, 255, 255], 4 * (y * width + x));
      }
    }
  }
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(image, 0, 0);
}

/** Put into the controls what is shown. */
function write() {
  const { inputs: { z }, label, from } = now;
  GENERATOR.directions.forEach(({ values }, number) => {
    const place = along(z, content, values), slider = of(`slider-${number}`);
    if (document.activeElement !== slider) slider.value = place;
    of(`value-${number}`).textContent = (Math.round(10 * place) / 10 + 0).toFixed(1); // no -0.0
  });
  for (const row of stepperRows) row.output.textContent = row.said(z);
  of('class').value = label;
  of('origin').textContent = from
    ? `As gan-batch makes image ${from[1]} with seed ${from[0]}, where it has no wish (--want).`
    : 'Changed by hand: no run has this image.';
}

// --- image i of a run

/** The inputs of image `index` of a seed. */
function drawn(seed, index) {
  const inputs = {};
  for (const [name, { length, stream }] of Object.entries(GENERATOR.inputs)) {
    inputs[name] = latentOf(seed, index, length, BigInt(stream));
  }
  return inputs;
}

/** What is typed as a seed and an index; null, and told, where it is none. */
function typed() {
  const told = [['seed', LARGEST_SEED], ['index', BigInt(LARGEST_INDEX)]].map(([name, largest]) => {
    const text = of(name).value.trim();
    const value = /^\d{1,20}$/.test(text) ? BigInt(text) : -1n;
    const fits = value >= 0n && value <= largest;
    of(name).setAttribute('aria-invalid', String(!fits));
    if (!fits) say(`${name}: a whole number from 0 to ${largest}`);
    return fits ? value : null;
  });
  return told.includes(null) ? null : told;
}

function showTyped() {
  const numbers = typed();
  if (!numbers) return;
  const [seed, index] = numbers;
  stop();
  return show({ inputs: drawn(seed, Number(index)), label: now?.label ?? 0, from: [seed, index] });
}

function step(by) {
  const numbers = typed();
  if (!numbers) return;
  const index = Number(numbers[1]) + by;
  if (index < 0 || index > LARGEST_INDEX) return;
  of('index').value = index;
  showTyped();
}

/** A random index of the seed that is typed, so that gan-batch can make the same image; held parts stay. */
function random() {
  const seed = typed()?.[0];
  if (seed === undefined) return;
  const index = Math.floor(Math.random() * 2 ** 20);
  const inputs = drawn(seed, index), held = heldParts();
  for (const part of held) inputs.z = withPart(inputs.z, places[part], now.inputs.z);
  of('index').value = index;
  stop();
  show({ ...now, inputs, from: held.length ? null : [seed, BigInt(index)] });
}

function change(z, more = {}) {
  stop();
  show({ ...now, inputs: { ...now.inputs, z }, from: null, ...more });
}

// --- sliders and steps

function makeSliders() {
  for (const [number, { name, fits, values }] of GENERATOR.directions.entries()) {
    const row = document.createElement('label');
    row.className = 'slider';
    row.htmlFor = `slider-${number}`;
    row.append(name, made('output', { id: `value-${number}`, ariaLive: 'off' }));
    if (fits) row.title = `goes with an image's ${name.toLowerCase()}: correlation ${fits}`;
    const slider = made('input', { id: `slider-${number}`, type: 'range', min: -4, max: 4, step: 0.05 });
    slider.addEventListener('input', () => {
      change(movedTo(now.inputs.z, content, values, Number(slider.value)));
    });
    row.append(slider);
    of('sliders').append(row);
  }
  of('content-box').hidden = !GENERATOR.directions.length;
  of('middle').addEventListener('click', () => {
    change(GENERATOR.directions.reduce((z, { values }) => movedTo(z, content, values, 0), now.inputs.z));
  });
}

const stepperRows = [];
const holds = {}; // a box a part: both ways of the place share theirs

function heldParts() {
  return Object.keys(holds).filter((part) => holds[part].checked);
}

function makeSteps() {
  for (const { part, label, unit, turned, indices } of steppers(places)) {
    const count = 2 ** indices.length;
    const value = (z) => (turned ? count - 1 - numberOf(z, indices) : numberOf(z, indices));
    const said = (z) => (unit ? `${value(z)} ${unit}` : `${value(z) + 1} of ${count}`);
    const output = made('output', { id: `step-${label}` });
    const move = (by) => () => change(withNumber(now.inputs.z, indices, numberOf(now.inputs.z, indices) + by * (turned ? -1 : 1)));
    const [less, more] = [['‹', -1, 'back'], ['›', 1, 'on']].map(([text, by, way]) => {
      const button = made('button', { type: 'button', textContent: text, ariaLabel: `${label}: one step ${way}` });
      button.addEventListener('click', move(by));
      return button;
    });
    addStep(part, label, [less, output, more]);
    stepperRows.push({ output, said });
  }
  if (places.noise) {
    const button = made('button', { type: 'button', textContent: 'New grain', id: 'new-grain' });
    button.addEventListener('click', () => {
      const other = drawn(BigInt(Math.floor(Math.random() * 2 ** 32)), 0).z;
      change(withPart(now.inputs.z, places.noise, other));
    });
    addStep('noise', 'Grain', [button]);
  }
  of('steps-box').hidden = !of('steps').childElementCount;
  const stepped = Object.keys(places).filter((part) => part !== 'content').map((part) => WORDS[part] ?? part);
  if (GENERATOR.classes.length) stepped.push('class');
  of('jump-row').hidden = !stepped.length;
  of('jump-parts').textContent = stepped.join(', ').replace(/, ([^,]*)$/, ' and $1');
}

function addStep(part, label, controls) {
  const row = made('div', { className: 'step', role: 'group', ariaLabel: label });
  row.append(made('span', { textContent: label }), ...controls);
  if (!holds[part]) {
    holds[part] = made('input', { type: 'checkbox', id: `hold-${part}` });
    holds[part].ariaLabel = `hold the ${WORDS[part]}`;
    const hold = made('label', { className: 'check', title: `Random leaves the ${WORDS[part]} as it is` });
    hold.append(holds[part], ' hold');
    row.append(hold);
  }
  of('steps').append(row);
}

function made(name, properties) {
  return Object.assign(document.createElement(name), properties);
}

// --- walk

function setEnd(number, end = now, image = shown) {
  stop();
  walkEnds[number] = end;
  draw(of(number ? 'to-image' : 'from-image'), image);
  const ready = walkEnds.every(Boolean);
  of('walk').disabled = of('play').disabled = !ready;
  of('walk').value = number;
}

function walkTo(t) {
  const [one, other] = walkEnds;
  const late = t >= 0.5 && of('jump').checked;
  const [frame, from] = [late ? other : one, t === 0 ? one.from : t === 1 && late ? other.from : null];
  // Of the arc between both only the content: the rest stays that of the image that it is on the way of.
  const arc = between(one.inputs.z, other.inputs.z, content, t);
  const z = withPart(frame.inputs.z, content, arc);
  show({ inputs: { ...frame.inputs, z }, label: frame.label, from });
}

function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  of('play').textContent = 'Play';
}

function play() {
  if (playing) return stop();
  of('play').textContent = 'Stop';
  const start = performance.now() - 4000 * Number(of('walk').value);
  const frame = (time) => {
    const way = ((time - start) / 4000) % 2; // there in four seconds, and back
    of('walk').value = way <= 1 ? way : 2 - way;
    if (!busy) walkTo(Number(of('walk').value));
    playing = requestAnimationFrame(frame);
  };
  playing = requestAnimationFrame(frame);
}

// --- files

function save(image, name) {
  const canvas = made('canvas', { width: image.width, height: image.height });
  canvas.getContext('2d').putImageData(image, 0, 0);
  canvas.toBlob((blob) => {
    const link = made('a', { href: URL.createObjectURL(blob), download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  });
}

function fileName() {
  return now.from ? `${now.from[0]}-${String(now.from[1]).padStart(8, '0')}` : 'changed-by-hand';
}

// --- start

function listen() {
  const on = (id, what, kind = 'click') => of(id).addEventListener(kind, what);
  on('controls', (event) => { event.preventDefault(); showTyped(); }, 'submit');
  on('random', random);
  on('before', () => step(-1));
  on('after', () => step(1));
  on('class', () => change(now.inputs.z, { label: Number(of('class').value), from: now.from }), 'change');
  on('from', () => setEnd(0));
  on('to', () => setEnd(1));
  on('walk', () => { stop(); walkTo(Number(of('walk').value)); }, 'input');
  on('play', play);
  on('outline', () => draw(of('image'), shown), 'change');
  on('download', () => save(colours(shown.pixels), `${fileName()}.png`));
  on('download-mask', () => save(colours(shown.masks, 1), `${fileName()}_mask.png`));
}

function describe() {
  const { name, width, height, channels, architecture, sha256, runtime, masks, classes, named } = GENERATOR;
  document.title = name;
  of('image').style.setProperty('--ratio', width / height);
  of('name').textContent = name;
  const size = `${width}×${height}, ${channels === 1 ? 'gray' : 'colour'}`;
  const rest = named ? '' : ' The file does not name the parts of its latents: all of them are content here.';
  of('facts').textContent = `${architecture}; ${size}; sha256 ${sha256.slice(0, 12)}…; onnxruntime-web ${runtime}. `
    + `All runs in this page: it asks no address for anything.${rest}`;
  of('outline-row').hidden = of('download-mask').hidden = !masks;
  of('class-box').hidden = !classes.length;
  classes.forEach((text, value) => of('class').append(made('option', { value, textContent: text })));
}

describe();
makeSliders();
makeSteps();
loadNetwork().then(async (loaded) => {
  network = loaded;
  const next = { inputs: drawn(1n, 1), label: 0, from: [1n, 1n] }; // so that there is a walk from the start
  const image = await network(next);
  listen();
  await showTyped();
  setEnd(0);
  setEnd(1, next, image);
  of('walk').value = 0;
}).catch(fail);
