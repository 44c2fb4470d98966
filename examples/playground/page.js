// The page of the playground: photos in, the curve, answers out. All computing is done by main.cpp, as WebAssembly.
"use strict";

const most = 256; // pixels of a photo's longer side, more than the network sees
const steps = 150, stepsAtOnce = 5;
const colours = { loss: "#0072b2", accuracy: "#d55e00" };
const $ = id => document.getElementById(id);
let wasm; // the module
let classes = []; // { name, photos: [ImageData], box }

function say(text, isError = false) {
  $("said").textContent = text;
  $("said").className = isError ? "error" : "";
}
const rest = () => new Promise(done => setTimeout(done)); // lets the page be drawn

// ---- What main.cpp offers ----

/** Calls a function with memory that holds these bytes; throws with the reason when it fails. */
function withBytes(bytes, use) {
  const at = wasm._malloc(bytes.length);
  try {
    wasm.HEAPU8.set(bytes, at);
    check(use(at));
  } finally {
    wasm._free(at);
  }
}
function check(done) {
  if (!done) throw new Error(new TextDecoder().decode(answer()));
}
function answer() {
  return wasm.HEAPU8.slice(wasm._tl_text(), wasm._tl_text() + wasm._tl_text_length());
}
const words = () => new TextDecoder().decode(answer()).trim().split(" ").map(Number);
const look = (photo, label) =>
  withBytes(photo.data, at => wasm._tl_add(at, photo.width, photo.height, label));
function predict(photo) {
  withBytes(photo.data, at => wasm._tl_predict(at, photo.width, photo.height));
  return words();
}
function explain(photo, label) {
  withBytes(photo.data, at => wasm._tl_explain(at, photo.width, photo.height, label));
  const bytes = answer(), end = bytes.indexOf(10);
  const [height, width] = new TextDecoder().decode(bytes.subarray(0, end)).split(" ").map(Number);
  const seen = new ImageData(width, height);
  for (let i = 0; i < width * height; ++i) {
    for (let c = 0; c < 3; ++c) seen.data[4 * i + c] = bytes[end + 1 + 3 * i + c];
    seen.data[4 * i + 3] = 255;
  }
  return seen;
}

// ---- Photos ----

/** The pixels of an image file, upright, on white, at most `most` wide and high. */
async function pixels(file) {
  const image = await createImageBitmap(file);
  return drawn(image, image.width, image.height);
}
function drawn(image, width, height) {
  const scale = Math.min(1, most / Math.max(width, height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(width * scale));
  canvas.height = Math.max(1, Math.round(height * scale));
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, canvas.width, canvas.height);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}
function shown(photo, side) {
  const canvas = document.createElement("canvas");
  canvas.width = photo.width, canvas.height = photo.height;
  canvas.getContext("2d").putImageData(photo, 0, 0);
  canvas.style.objectFit = "cover";
  if (side) canvas.style.width = canvas.style.height = side + "px";
  return canvas;
}
async function readAll(files, use) {
  const broken = [];
  for (const file of files) {
    try {
      use(await pixels(file), file.name);
    } catch {
      broken.push(file.name);
    }
  }
  if (broken.length > 0) say(`no photos that this browser reads: ${broken.join(", ")}`, true);
}

/** From the camera, one photo at each press; the stream ends with the second press of the button. */
async function camera(button, use) {
  if (button.stream) {
    button.stream.getTracks().forEach(track => track.stop());
    button.stream = null;
    button.video.remove(), button.shoot.remove();
    button.textContent = "Camera";
    return;
  }
  try {
    button.stream = await navigator.mediaDevices.getUserMedia({ video: true });
  } catch (error) {
    return say(`the camera cannot be used: ${error.message}`, true);
  }
  const video = button.video = document.createElement("video");
  video.autoplay = video.playsInline = video.muted = true;
  video.style.width = "100%";
  video.srcObject = button.stream;
  const shoot = button.shoot = document.createElement("button");
  shoot.textContent = "Take a photo";
  shoot.onclick = () => use(drawn(video, video.videoWidth, video.videoHeight));
  button.after(shoot, video);
  button.textContent = "End";
}

// ---- Classes ----

function addClass(name) {
  const box = document.createElement("div");
  box.className = "class";
  box.innerHTML = `<input type="text" maxlength="60"><label><input type="file" accept="image/*" multiple>` +
    `<span class="button">Choose photos</span></label> <button>Camera</button>` +
    `<p class="count">no photo yet; they can also be dropped here</p><div class="photos"></div>`;
  const one = { photos: [], box };
  const title = box.querySelector("input[type=text]");
  title.value = one.name = name;
  title.setAttribute("aria-label", "Name of a thing");
  title.oninput = () => { one.name = title.value.trim() || name; };
  const add = photo => {
    one.photos.push(photo);
    box.querySelector(".photos").append(shown(photo));
    box.querySelector(".count").textContent = one.photos.length === 1 ? "1 photo" : `${one.photos.length} photos`;
    update();
  };
  const input = box.querySelector("input[type=file]");
  input.onchange = async () => { await readAll(input.files, add); input.value = ""; };
  const button = box.querySelector("button");
  if (!navigator.mediaDevices) button.remove();
  button.onclick = () => camera(button, add);
  dropping(box, files => readAll(files, add));
  classes.push(one);
  $("classes").append(box);
  update();
}
function dropping(box, use) {
  box.ondragover = event => { event.preventDefault(); box.classList.add("over"); };
  box.ondragleave = () => box.classList.remove("over");
  box.ondrop = event => {
    event.preventDefault();
    box.classList.remove("over");
    use(event.dataTransfer.files);
  };
}
function update() {
  $("learn").disabled = !wasm || classes.some(c => c.photos.length === 0) || classes.length < 2;
}

// ---- Learning ----

function draw(points) {
  const line = (name, value, top) => `<polyline fill="none" stroke="${colours[name]}" stroke-width="2" points="` +
    points.map(p => `${(40 + 590 * p.step / steps).toFixed(1)},${(180 - 165 * Math.min(1, value(p))).toFixed(1)}`).join(" ") +
    `"/><text x="632" y="${top}" text-anchor="end" fill="${colours[name]}" font-size="13">${name}</text>`;
  const highest = Math.max(...points.map(p => p.loss), 1e-9);
  $("chart").innerHTML = `<path d="M40 15V180H630" fill="none" stroke="currentColor" opacity=".5"/>` +
    `<text x="34" y="20" text-anchor="end" fill="currentColor" font-size="12">1</text>` +
    `<text x="34" y="184" text-anchor="end" fill="currentColor" font-size="12">0</text>` +
    line("loss", p => p.loss / highest, 28) + line("accuracy", p => p.accuracy, 44);
}

async function learn() {
  $("learn").disabled = true;
  const begin = performance.now();
  try {
    wasm._tl_forget();
    const total = classes.reduce((n, c) => n + c.photos.length, 0);
    let seen = 0;
    for (const [label, one] of classes.entries()) {
      for (const photo of one.photos) {
        look(photo, label);
        say(`looking at the photos: ${++seen} of ${total}`);
        await rest();
      }
    }
    const names = new TextEncoder().encode(classes.map(c => c.name.replaceAll("\n", " ")).join("\n") + "\0");
    withBytes(names, at => wasm._tl_begin(at));
    const points = [];
    while (points.length * stepsAtOnce < steps) {
      check(wasm._tl_step(stepsAtOnce));
      const [step, loss, accuracy] = words();
      points.push({ step, loss, accuracy });
      draw(points);
      say(`step ${step} of ${steps}: loss ${loss.toFixed(3)}`);
      await rest();
    }
    const seconds = ((performance.now() - begin) / 1000).toFixed(1);
    say(`learned ${classes.length} things from ${total} photos in ${seconds} s: try it below`);
    $("save").disabled = $("try").disabled = false;
  } catch (error) {
    say(error.message, true);
  }
  update();
}

function tryPhoto(photo) {
  const began = performance.now();
  const p = predict(photo), best = p.indexOf(Math.max(...p));
  const box = document.createElement("div");
  box.className = "answer";
  box.dataset.answer = classes[best].name;
  const bars = document.createElement("div");
  bars.className = "bars";
  for (const [i, one] of classes.entries()) {
    const bar = document.createElement("div");
    bar.className = "bar";
    const name = document.createElement("span"), fill = document.createElement("div"), number = document.createElement("span");
    name.textContent = one.name;
    fill.style.width = `${100 * p[i]}%`;
    number.textContent = `${(100 * p[i]).toFixed(1)} %`;
    bar.append(name, fill, number);
    bars.append(bar);
  }
  box.append(shown(photo), shown(explain(photo, best)), bars);
  box.title = `${(performance.now() - began).toFixed(0)} ms`;
  $("answers").prepend(box);
}

function save() {
  try {
    check(wasm._tl_file());
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([answer()], { type: "application/octet-stream" }));
    link.download = classes.map(c => c.name.replace(/[^\p{L}\p{N}]+/gu, "-")).join("-") + ".onnx";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
  } catch (error) {
    say(error.message, true);
  }
}

// ---- Beginning ----

$("more").onclick = () => addClass(`thing ${classes.length + 1}`);
$("learn").onclick = learn;
$("save").onclick = save;
$("try").onchange = async () => {
  const files = [...$("try").files];
  $("try").value = "";
  await readAll(files, tryPhoto);
};
dropping($("test"), files => !$("try").disabled && readAll(files, tryPhoto));
addClass("thing 1");
addClass("thing 2");
createTl().then(module => {
  wasm = module;
  check(wasm._tl_open());
  say("The network is ready. Give each thing a name and some photos.");
  update();
}).catch(error => say(`the network cannot be opened: ${error.message}`, true));
