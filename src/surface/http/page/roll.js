// The piano roll: what was played, what sounds, what is planned. Times are seconds of the session.

const PAST = 8, AHEAD = 2.5;

// Black keys of an octave.
const BLACK = new Set([1, 3, 6, 8, 10]);

export class Roll {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.notes = [];
    this.planned = [];
    this.sounding = { human: new Map(), ai: new Map(), take: new Map() };
    this.offset = null;
    this.still = matchMedia("(prefers-reduced-motion: reduce)");
    this.range = [48, 84];
    this.frames = 0;
    this.readColours();
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.readColours());
    const draw = () => { this.draw(); this.frames += 1; requestAnimationFrame(draw); };
    requestAnimationFrame(draw);
  }

  readColours() {
    const style = getComputedStyle(document.documentElement);
    this.colours = Object.fromEntries(["human", "ai", "take", "plan", "line", "soft", "text"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
  }

  // The session's time is told with each message; the smallest delay seen is the truest.
  tellTime(now) {
    const offset = now - performance.now() / 1000;
    if (this.offset === null || offset > this.offset || this.offset - offset > 1) this.offset = offset;
  }

  now() { return this.offset === null ? 0 : this.offset + performance.now() / 1000; }

  forget() {
    this.notes = []; this.planned = [];
    for (const voice of Object.values(this.sounding)) voice.clear();
    this.offset = null;
  }

  on(voice, { at, channel, key, velocity }) {
    this.off(voice, { at, channel, key });
    const note = { voice, key, velocity, onset: at, end: null };
    this.sounding[voice].set(channel * 128 + key, note);
    this.notes.push(note);
    if (voice === "ai") this.planned = this.planned.filter((plan) => plan.key !== key || Math.abs(plan.onset - at) > 0.05);
  }

  off(voice, { at, channel, key }) {
    const id = channel * 128 + key, note = this.sounding[voice].get(id);
    if (note) { note.end = Math.max(at, note.onset + 0.01); this.sounding[voice].delete(id); }
  }

  // What this voice has not played by then is never heard.
  cut(voice, at) {
    this.sounding[voice].clear();
    this.notes = this.notes.filter((note) => note.voice !== voice || note.onset <= at);
    for (const note of this.notes) if (note.voice === voice) note.end = Math.min(note.end ?? at, at);
  }

  plan(note) { this.planned.push(note); }

  drop({ channel, after }) { this.planned = this.planned.filter((plan) => plan.channel !== channel || plan.onset <= after); }

  draw() {
    const { canvas, pen, colours } = this;
    const scale = devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
    }
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    const clock = this.now(), now = this.still.matches ? Math.floor(clock * 2) / 2 : clock;
    this.notes = this.notes.filter((note) => note.end === null || note.end > now - PAST - 1);
    this.planned = this.planned.filter((plan) => plan.onset > now - 1);
    for (const { key } of [...this.notes, ...this.planned]) {
      this.range[0] = Math.min(this.range[0], Math.floor(key / 12) * 12);
      this.range[1] = Math.max(this.range[1], Math.ceil((key + 1) / 12) * 12);
    }
    const [low, high] = this.range, row = height / (high - low);
    const x = (time) => ((time - now + PAST) / (PAST + AHEAD)) * width;
    const y = (key) => height - (key - low + 1) * row;
    // The keyboard behind the notes: black keys as bands, a line under each C.
    pen.fillStyle = colours.line;
    pen.globalAlpha = 0.28;
    for (let key = low; key < high; key += 1) if (BLACK.has(key % 12)) pen.fillRect(0, y(key), width, row);
    pen.globalAlpha = 1;
    for (let key = low; key <= high; key += 12) pen.fillRect(0, Math.round(y(key - 1)), width, 1);
    pen.fillStyle = colours.soft;
    pen.font = "11px system-ui, sans-serif";
    for (let key = low; key < high; key += 12) pen.fillText(`C${key / 12 - 1}`, 4, y(key) + row - 3);
    const shape = (note, end) => {
      const left = x(note.onset), tall = Math.max(3, row - 1), wide = Math.max(3, x(end) - left);
      pen.beginPath();
      pen.roundRect(left, y(note.key) + 0.5, wide, tall, Math.min(3, tall / 2, wide / 2));
    };
    // The plan is a ghost: an outline that the answer will fill.
    pen.lineWidth = 1.5;
    for (const plan of this.planned) {
      shape(plan, plan.onset + plan.duration);
      pen.globalAlpha = 0.35; pen.fillStyle = colours.plan; pen.fill();
      pen.globalAlpha = 1; pen.strokeStyle = colours.plan; pen.stroke();
    }
    for (const note of this.notes) {
      shape(note, note.end ?? now);
      pen.globalAlpha = note.end === null ? 1 : 0.45 + 0.55 * (note.velocity / 127);
      pen.fillStyle = colours[note.voice];
      pen.fill();
    }
    // What sounds now is marked on the line, so that it is seen from across the stage.
    pen.globalAlpha = 1;
    for (const note of this.notes) {
      if (note.onset > now || (note.end !== null && note.end < now)) continue;
      pen.fillStyle = colours[note.voice];
      pen.beginPath();
      pen.arc(x(now), y(note.key) + row / 2, Math.max(4, Math.min(9, row * 0.7)), 0, 2 * Math.PI);
      pen.fill();
    }
    pen.globalAlpha = 1;
    pen.fillStyle = colours.text;
    pen.fillRect(x(now), 0, 1.5, height);
  }
}
