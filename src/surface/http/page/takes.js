// The takes: listed, fetched, played back, deleted.
import { button, make } from "./rig.js";

const find = (id) => document.getElementById(id);

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;

export class Takes {
  constructor(ask, withToken) {
    this.ask = ask;
    this.withToken = withToken;
    this.takes = [];
    this.playing = null;
    find("replay").addEventListener("click", () => this.toggle());
  }

  play(take) { return this.ask("POST", "api/playback", take ? { take } : {}); }

  stop() { return this.ask("DELETE", "api/playback"); }

  // The newest one, or what plays ends.
  toggle() { return this.playing ? this.stop() : this.play(); }

  // What is played back: its name, when it began and how long it is; or nothing.
  show(playing) {
    this.playing = playing;
    document.body.toggleAttribute("data-take", Boolean(playing));
    find("replay").firstChild.textContent = playing ? "Stop " : "Play back ";
    find("played").hidden = !playing;
    if (!playing) find("playing").textContent = "";
    this.draw();
  }

  tellTime(now) {
    if (!this.playing) return;
    const { take, begins, seconds } = this.playing, at = Math.min(Math.max(now - begins, 0), seconds);
    const text = `Playing ${take}, ${clock(at)} of ${clock(seconds)}; it stops when you play`;
    find("playing").textContent = text;
    find("played").value = seconds ? at / seconds : 0;
  }

  async list() {
    const answer = await this.ask("GET", "api/takes");
    if (!answer) return;
    this.takes = await answer.json();
    this.draw();
  }

  draw() {
    const focus = document.activeElement?.dataset?.act;
    find("takes").replaceChildren(...this.takes.map((take) => this.item(take)));
    if (focus) [...find("takes").querySelectorAll("[data-act]")].find((one) => one.dataset.act === focus)?.focus();
  }

  item(take) {
    const plays = this.playing?.take === take.name;
    const about = `${take.notes} notes, ${clock(Math.round(take.milliseconds / 1000))}, ${new Date(take.modified * 1000).toLocaleString()}`;
    const path = `api/takes/${encodeURIComponent(take.name)}`;
    const link = make("a", { href: this.withToken(path), textContent: take.name });
    link.dataset.act = `fetch ${take.name}`;
    const item = make("li", { className: plays ? "playing" : "" }, make("span", {}, link, make("small", { textContent: take.recording ? `${about}, being recorded` : about })));
    if (take.notes) {
      const play = plays ? button("Stop", `Stop ${take.name}`, () => this.stop()) : button("Play", `Play ${take.name} back`, () => this.play(take.name));
      play.dataset.act = `play ${take.name}`;
      item.append(play);
    }
    if (!take.recording) {
      const remove = button("Delete", `Delete ${take.name}`, async () => {
        if (confirm(`Delete ${take.name}? It cannot be brought back.`) && await this.ask("DELETE", path)) this.list();
      });
      remove.classList.add("danger");
      remove.dataset.act = `delete ${take.name}`;
      item.append(remove);
    }
    return item;
  }
}
