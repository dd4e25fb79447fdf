// The page: keeps the connection, shows how things stand, asks for what is wanted.
import { Cables, Knobs, make } from "./rig.js";
import { Roll } from "./roll.js";
import { Takes } from "./takes.js";

const find = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const withToken = (path) => (token ? `${path}?token=${encodeURIComponent(token)}` : path);
const roll = new Roll(find("roll"));
const notes = { human: 0, ai: 0 };

const TURNS = { human: "You play", ai: "Antiphon answers", both: "You play together" };
const GROUPS = [
  ["Turns", ["mode", "barge-in", "players", "patience", "patience-floor", "patience-ceiling", "answer-seconds"]],
  ["Manner", ["style", "temperature", "shift-temperature", "key-temperature", "duration-temperature", "velocity-temperature", "top-p", "min-p", "memory", "repetition-guard"]],
  ["Limits", ["scale", "scale-root", "lowest-key", "highest-key", "polyphony", "density", "softest", "loudest", "velocity-curve", "longest-note"]],
  ["Clock", ["begin-on", "snap", "snap-per-beat", "beats-per-bar"]],
];

function complain(sentence) {
  find("trouble").textContent = sentence;
  find("trouble").hidden = !sentence;
}

async function ask(method, path, body) {
  try {
    const answer = await fetch(withToken(path), {
      method, headers: body ? { "content-type": "application/json" } : {}, body: body && JSON.stringify(body),
    });
    if (!answer.ok) throw new Error((await answer.text()).trim() || answer.statusText);
    complain("");
    return answer;
  } catch (error) {
    complain(error.message);
    return null;
  }
}

const control = (line) => ask("POST", "api/control", { control: line });
const cables = new Cables(ask);
const knobs = new Knobs(control);
const takes = new Takes(ask, withToken);

// --- settings ---
const settings = new Map();
let styles = [];

function showValue(name, value) {
  const row = settings.get(name);
  if (!row || row.input === document.activeElement && row.dragging) return;
  row.value = value;
  if (row.input.type === "range") row.input.value = toSlider(row, Number(value)); else row.input.value = value;
  row.output.textContent = row.unit && row.input.type === "range" ? `${value} ${row.unit}` : row.input.type === "range" ? value : "";
  const changed = value !== row.fallback;
  row.name.classList.toggle("changed", changed);
  row.reset.disabled = !changed;
}

// Ranges that span decades get a slider that feels even.
const isWide = (row) => row.kind === "number" && row.low > 0 && row.high / row.low >= 100;
const toSlider = (row, value) => (isWide(row) ? (1000 * Math.log(value / row.low)) / Math.log(row.high / row.low) : value);
function fromSlider(row, place) {
  if (!isWide(row)) return String(Number(Number(place).toFixed(4)));
  return String(Number((row.low * (row.high / row.low) ** (place / 1000)).toPrecision(3)));
}

function settingRow(described) {
  const row = { ...described, fallback: described.default, dragging: false };
  const id = `setting-${row.name}`;
  row.key = described.name;
  row.output = make("output", { htmlFor: id });
  if (row.kind === "choice" || row.key === "style") {
    const choices = row.key === "style" ? styles.map((name, index) => [String(index), name]) : row.choices.map((name) => [name, name]);
    row.input = make("select", { id }, ...choices.map(([value, text]) => make("option", { value, textContent: text })));
    row.input.addEventListener("change", () => ask("POST", `api/settings/${row.key}`, { value: row.input.value }));
  } else {
    const wide = isWide(row), whole = row.kind === "whole";
    row.input = make("input", { type: "range", id, min: wide ? 0 : row.low, max: wide ? 1000 : row.high, step: whole ? 1 : wide ? 1 : (row.high - row.low) / 200 });
    let waiting = false;
    row.input.addEventListener("input", () => {
      row.dragging = true;
      row.output.textContent = `${fromSlider(row, row.input.value)} ${row.unit}`;
      if (waiting) return;
      waiting = true;
      setTimeout(() => { waiting = false; ask("POST", `api/settings/${row.key}`, { value: fromSlider(row, row.input.value) }); }, 60);
    });
    row.input.addEventListener("change", () => { row.dragging = false; });
  }
  row.reset = make("button", { className: "small", type: "button", textContent: "Reset", ariaLabel: `Reset ${row.key} to ${row.fallback}` });
  row.reset.addEventListener("click", () => ask("POST", `api/settings/${row.key}`, { value: row.fallback }));
  const learn = knobs.learner(row.key);
  row.name = make("span", { textContent: row.key.replaceAll("-", " ") });
  const about = make("p", { id: `${id}-about`, textContent: described.about });
  row.input.setAttribute("aria-describedby", about.id);
  settings.set(row.key, row);
  return make("div", { className: "setting" }, make("label", { htmlFor: id }, row.name, row.output), row.input, row.reset, learn, about);
}

async function buildSettings() {
  const answer = await ask("GET", "api/settings");
  if (!answer) return;
  const described = await answer.json(), known = new Set(GROUPS.flatMap(([, names]) => names));
  const groups = [...GROUPS, ["More", described.map((row) => row.name).filter((name) => !known.has(name))]];
  const open = new Set([...document.querySelectorAll("#settings details[open]")].map((group) => group.dataset.group));
  settings.clear();
  find("settings").replaceChildren(...groups.map(([title, names], index) => {
    const rows = names.map((name) => described.find((row) => row.name === name)).filter(Boolean).map(settingRow);
    const group = make("details", { open: open.size ? open.has(title) : index === 0 }, make("summary", { textContent: title }), ...rows);
    group.dataset.group = title;
    return group;
  }));
  for (const { name, value } of described) showValue(name, value);
  knobs.offer(described.map(({ name }) => name), [...actions.keys()]);
}

// --- meters ---
function showFigures({ figures, losses }) {
  const ms = (us) => `${(us / 1000).toFixed(us < 1000 ? 3 : 1)} ms`;
  const left = figures.notes.on_time + figures.notes.late + figures.notes.missed;
  const rate = left ? `${((100 * figures.notes.on_time) / left).toFixed(2)} %` : "–";
  const p99 = (spread) => (spread.count ? ms(spread.p99_us) : "–");
  const onTime = make("meter", { min: 0, max: 1, low: 0.99, high: 0.999, optimum: 1, value: left ? figures.notes.on_time / left : 0, ariaLabel: "Share of notes on time" });
  const rows = [
    ["Notes on time (within 1 ms)", make("span", { className: "rate" }, ...(left ? [onTime] : []), rate)],
    ["Planned to sent, p99", p99(figures.planned_to_sent)],
    ["First note of an answer, p99", p99(figures.first_note)],
    ["Your note to silence, p99", p99(figures.barge_in)],
    ["Choosing a note, p99", p99(figures.note_sampled)],
    ["Plan revised, p99", p99(figures.plan_revised)],
    ["Plan ran dry", String(figures.notes.plan_ran_dry)],
    ...(figures.xruns ? [["Xruns of JACK", String(figures.xruns)]] : []),
    ["Lost", losses || "nothing"],
  ];
  find("meters").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", {}, value)]));
}

// --- actions and models ---
const actions = new Map();
const KEYS = { h: "hand-over", t: "take-back", p: "panic", s: "split-take" };

async function buildActions() {
  const answer = await ask("GET", "api/actions");
  if (!answer) return;
  actions.clear();
  for (const { name, about } of await answer.json()) actions.set(name, about);
  for (const button of document.querySelectorAll("#actions [data-control]")) button.title = actions.get(button.dataset.control) ?? "";
}

async function buildModels() {
  const answer = await ask("GET", "api/models");
  if (!answer) return;
  const models = await answer.json(), playing = models.find((model) => model.playing);
  find("model").replaceChildren(...models.map(({ name, control: value }) => make("option", { value, textContent: name })));
  if (playing) find("model").value = playing.control; else find("model").selectedIndex = -1;
}
find("model").addEventListener("change", () => control(find("model").value));

// --- what happens ---
function showTurn(turn) {
  document.body.dataset.turn = turn;
  find("turn").textContent = takes.playing ? "A take plays" : TURNS[turn] ?? turn;
}

function showState(state) {
  roll.forget();
  roll.tellTime(state.now);
  state.recent.forEach(draw);
  styles = state.styles;
  Object.assign(notes, state.notes);
  takes.show(state.playing);
  showTurn(state.turn);
  const rows = [["Listens on", state.own_ports.listening ?? "no port"], ["Answers on", state.own_ports.answering ?? "no port"], ["Model", state.model], ["Recording to", state.take]];
  cables.show(state.ports);
  knobs.show(state.controllers);
  find("own").replaceChildren(...rows.flatMap(([name, value]) => [make("dt", { textContent: name }), make("dd", { textContent: value })]));
  buildActions().then(buildSettings);
  buildModels();
  takes.list();
}

function draw(sight) {
  switch (sight.event) {
    case "human_on": roll.on("human", sight); break;
    case "human_off": roll.off("human", sight); break;
    case "ai_on": roll.on("ai", sight); break;
    case "ai_off": roll.off("ai", sight); break;
    case "replayed_on": roll.on("take", sight); break;
    case "replayed_off": roll.off("take", sight); break;
    case "planned": roll.plan(sight); break;
    case "forgotten": roll.drop(sight); break;
  }
}

function show(sight) {
  draw(sight);
  switch (sight.event) {
    case "human_on": notes.human += 1; break;
    case "ai_on": notes.ai += 1; break;
    case "playback": if (!sight.take) roll.cut("take", sight.at); takes.show(sight.take ? sight : null); showTurn(document.body.dataset.turn); break;
    case "part": takes.list(); break;
    case "turn": showTurn(sight.turn); break;
    case "ports": cables.show(sight); break;
    case "controllers": knobs.show(sight); break;
    case "trouble": complain(sight.why); break;
    case "model": find("own").children[5].textContent = sight.model; styles = sight.styles; buildSettings(); buildModels(); break;
    case "control": {
      const [name, ...value] = sight.control.split(" ");
      if (name === "style" && settings.has("style") && styles.includes(value.join(" "))) showValue("style", String(styles.indexOf(value.join(" "))));
      else if (settings.has(name)) showValue(name, value.join(" "));
      break;
    }
  }
}

// --- the connection ---
let wait = 250;

function connect() {
  const socket = new WebSocket(withToken(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`));
  socket.addEventListener("open", () => { wait = 250; document.body.dataset.link = "up"; find("link").textContent = "connected"; });
  socket.addEventListener("message", ({ data }) => {
    const message = JSON.parse(data);
    if (message.event === "state") return showState(message);
    roll.tellTime(message.now);
    message.sights.forEach(show);
    find("counts").textContent = `${notes.human} of yours, ${notes.ai} of Antiphon's`;
    if (message.figures) showFigures(message);
  });
  socket.addEventListener("close", () => {
    document.body.dataset.link = "down";
    find("turn").textContent = "not connected";
    find("link").textContent = "Antiphon cannot be reached; trying again";
    setTimeout(connect, wait);
    wait = Math.min(2 * wait, 4000);
  });
}

document.querySelectorAll("[data-control]").forEach((button) => button.addEventListener("click", () => control(button.dataset.control)));
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest?.("input, select, textarea"), key = event.key.toLowerCase();
  if (typing || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
  if (key === "b") takes.toggle(); else if (actions.has(KEYS[key])) control(KEYS[key]);
});
setInterval(() => { if (document.body.dataset.link === "up" && !document.hidden) takes.list(); }, 15000);
setInterval(() => takes.tellTime(roll.now()), 250);
connect();
