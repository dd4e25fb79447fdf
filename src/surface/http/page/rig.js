// The rig: which ports are attached, and which knobs mean what.

const find = (id) => document.getElementById(id);

export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

export function button(text, label, act) {
  const made = make("button", { className: "small", type: "button", textContent: text, ariaLabel: label });
  made.addEventListener("click", act);
  return made;
}

const STATES = { attached: "connected", waiting: "not there yet, waited for", gone: "gone, waited for", unplugged: "unplugged by hand" };

export class Cables {
  constructor(ask) {
    this.ask = ask;
    find("attach").addEventListener("click", () => {
      const chosen = find("port").selectedOptions[0];
      if (chosen) this.ask("POST", "api/ports/attach", { direction: chosen.dataset.direction, name: chosen.value });
    });
  }

  show({ system, runs, cables, from, to }) {
    find("away").hidden = runs;
    find("away").textContent = runs ? "" : `${system} is away. It is waited for, and the recording goes on.`;
    const want = (way, { direction, name }) => this.ask("POST", `api/ports/${way}`, { direction, name });
    const away = make("li", {}, make("span", {}, system, make("small", { textContent: "gone, waited for; the recording goes on" })));
    find("cables").replaceChildren(...(runs ? [] : [away]), ...cables.map((cable) => {
      const name = cable.port ?? cable.name, arrow = cable.direction === "from" ? "from" : "to";
      const about = cable.why ? `${STATES[cable.state]}: ${cable.why}` : STATES[cable.state];
      const item = make("li", {}, make("span", {}, `${arrow} ${name}`, make("small", { textContent: about })));
      if (cable.state === "unplugged") item.append(button("Connect", `Connect ${name} again`, () => want("attach", cable)));
      item.append(button("Disconnect", `Disconnect ${name}`, () => want("detach", cable)));
      return item;
    }));
    const taken = new Set(cables.filter(({ state }) => state === "attached").map(({ direction, port }) => `${direction} ${port}`));
    const group = (label, direction, names) => make("optgroup", { label }, ...names.filter((name) => !taken.has(`${direction} ${name}`)).map((name) => {
      const option = make("option", { value: name, textContent: name });
      option.dataset.direction = direction;
      return option;
    }));
    const before = find("port").value;
    find("port").replaceChildren(group("to be heard", "from", from), group("to be played to", "to", to));
    if (before) find("port").value = before;
    find("attach").disabled = !find("port").options.length;
  }
}

export class Knobs {
  constructor(control) {
    this.control = control;
    this.learning = null;
    find("learn").addEventListener("click", () => control(`learn ${find("meaning").value}`));
    find("stop-learning").addEventListener("click", () => control("stop-learning"));
  }

  // A button that waits for the knob that shall be this.
  learner(meaning) {
    return button("Learn", `Learn a knob for ${meaning}`, () => this.control(`learn ${meaning}`));
  }

  offer(settings, actions) {
    const before = find("meaning").value;
    const group = (label, names) => make("optgroup", { label }, ...names.map((name) => make("option", { value: name, textContent: name.replaceAll("-", " ") })));
    find("meaning").replaceChildren(group("Actions", actions.filter((name) => name !== "stop-learning")), group("Settings", settings));
    if (before) find("meaning").value = before;
  }

  show({ learning, waits_for, map }) {
    this.learning = learning;
    const waits = find("learning");
    waits.hidden = !learning;
    waits.firstElementChild.textContent = learning ? `Waiting for ${waits_for} that shall be ${learning}` : "";
    find("map").replaceChildren(...map.map(({ message, meaning }) => {
      const forget = button("Forget", `Forget ${message}`, () => this.control(`forget ${message}`));
      return make("li", {}, make("span", {}, `${message} \u2192 ${meaning}`), forget);
    }));
  }
}
