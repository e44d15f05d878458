"use strict";
(() => {
const data = JSON.parse(document.getElementById("weir-data").textContent);
const byId = id => document.getElementById(id);
const panel = byId("about"), search = byId("search"), cut = byId("cut");

// All text of others gets into the page as text, never as markup.
const make = (tag, attributes = {}, ...children) => {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes))
    if (name === "class") element.className = value; else element.setAttribute(name, value);
  element.append(...children);
  return element;
};
const visible = text => text.replace(/\n/g, "↵").replace(/\t/g, "⇥").replace(/[\u2028\u2029]/g, "↵")
  .replace(/[\u0000-\u001f]/g, c => String.fromCharCode(0x2400 + c.charCodeAt(0)))
  .replace(/[\u007f-\u009f\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "\ufffd");
const fixed = value => value === null ? "–" : value.toFixed(2);

class View {
  constructor(section, graph) {
    Object.assign(this, {section, graph, svg: section.querySelector("svg.graph"), scroll: section.querySelector(".scroll")});
    this.nodes = [...this.svg.querySelectorAll(".nodes > .n")];
    this.edges = [...this.svg.querySelectorAll(".edges > .e")];
    this.numbers = new Map([...this.svg.querySelectorAll(".l")].map(one => [+one.dataset.edge, one]));
    this.gutter = this.svg.querySelector(".gutter");
    this.width = this.svg.viewBox.baseVal.width;
    this.height = this.svg.viewBox.baseVal.height;
    this.inward = this.nodes.map(() => []);
    this.outward = this.nodes.map(() => []);
    // The most similar edge first.
    graph.edges.map((edge, index) => index).sort((a, b) => graph.edges[b][2] - graph.edges[a][2] || a - b).forEach(index => {
      const [from, to] = graph.edges[index];
      this.outward[from].push(index);
      this.inward[to].push(index);
    });
    this.number = new Map(this.nodes.map((node, index) => [node, index]));
    this.places = this.nodes.map(node => node.transform.baseVal[0].matrix).map(({e, f}) => [e, f]);
    this.byName = new Map(graph.nodes.map(([feature], index) => [feature, index]));
    this.cutAt = null;
    this.picked = this.shown = this.hovered = null;
    this.found = [];
    this.kept = graph.edges.map(() => true);
    this.alive = this.nodes.map(() => true);
    this.tabStop = graph.target[0] ?? 0;
    this.nodes[this.tabStop].tabIndex = 0;
    this.whole = this.reach(graph.target);
    this.listen();
  }

  name(node) { return this.graph.nodes[node][1] ?? this.graph.nodes[node][0]; }
  about(node) { return data.about[this.graph.nodes[node][0]] ?? {}; }

  // Who leads to the nodes, and whom they lead to, over edges that are kept: two walks.
  reach(starts) {
    const result = new Set(starts);
    for (const [edges, end] of [[this.inward, 0], [this.outward, 1]]) {
      const seen = new Set(starts), queue = [...starts];
      while (queue.length)
        for (const edge of edges[queue.pop()]) {
          const next = this.graph.edges[edge][end];
          if (this.kept[edge] && !seen.has(next)) { seen.add(next); queue.push(next); result.add(next); }
        }
    }
    return result;
  }

  // Edges below the slider go, and nodes that no target reaches without them.
  cutEdges(value) {
    this.cutAt = value;
    const {edges, target} = this.graph;
    this.kept = edges.map(edge => edge[2] >= value);
    const reached = this.reach(target);
    this.alive = this.nodes.map((_, node) => reached.has(node) || (!this.whole.has(node) &&
      (!(this.inward[node].length + this.outward[node].length) || [...this.inward[node], ...this.outward[node]].some(edge => this.kept[edge]))));
    this.kept = this.kept.map((kept, edge) => kept && this.alive[edges[edge][0]] && this.alive[edges[edge][1]]);
    this.nodes.forEach((node, index) => node.classList.toggle("cut", !this.alive[index]));
    this.edges.forEach((edge, index) => edge.classList.toggle("cut", !this.kept[index]));
    this.numbers.forEach((one, index) => one.classList.toggle("cut", !this.kept[index]));
    if (!this.alive[this.tabStop]) this.setTabStop(Math.max(0, this.alive.indexOf(true)));
    if (this.picked !== null) this.pick(this.alive[this.picked] ? this.picked : null);
    if (search.value) this.find(search.value);
    this.count();
  }

  count() {
    const {nodes, edges} = this.graph, of = (list, what) => {
      const kept = list.filter(Boolean).length;
      return `${kept === list.length ? "" : `${kept} of `}${list.length} ${what}`;
    };
    byId("count").textContent = `${of(this.alive, nodes.length === 1 ? "feature" : "features")}, ${of(this.kept, edges.length === 1 ? "edge" : "edges")}`;
    byId("cut-value").textContent = this.cutAt.toFixed(2);
  }

  pick(node) {
    this.picked = node;
    this.svg.classList.toggle("picked", node !== null);
    const lit = node === null ? new Set() : this.reach([node]);
    this.lineage = lit;
    this.nodes.forEach((one, index) => {
      one.classList.toggle("lit", lit.has(index));
      one.classList.toggle("picked-node", index === node);
      one.setAttribute("aria-pressed", index === node);
    });
    // An edge between two ancestors, or two descendants; not one past the node.
    const before = this.walk(node, this.inward, 0), after = this.walk(node, this.outward, 1);
    this.edges.forEach((edge, index) => {
      const [from, to] = this.graph.edges[index];
      const on = this.kept[index] && ((before.has(from) && before.has(to)) || (after.has(from) && after.has(to)));
      edge.classList.toggle("lit", on);
      this.numbers.get(index)?.classList.toggle("lit", on);
    });
    this.tell(node ?? this.shown);
    if (node === null) this.tell(null);
  }
  walk(start, edges, end) {
    const seen = new Set(start === null ? [] : [start]), queue = [...seen];
    while (queue.length)
      for (const edge of edges[queue.pop()]) {
        const next = this.graph.edges[edge][end];
        if (this.kept[edge] && !seen.has(next)) { seen.add(next); queue.push(next); }
      }
    return seen;
  }

  // What the panel says: of a node, or the story.
  tell(node) {
    if (node === this.shown && node !== null) return;
    for (const edge of this.near ?? []) this.edges[edge].classList.remove("near");
    this.shown = node;
    this.near = node === null ? [] : [...this.inward[node], ...this.outward[node]];
    for (const edge of this.near) this.edges[edge].classList.add("near");
    panel.replaceChildren(...(node === null ? this.story() : this.details(node)));
    panel.scrollTop = 0;
  }

  jump(node) {
    const link = this.link(node, this.name(node));
    if (this.graph.nodes[node][1]) link.append(make("span", {class: "soft"}, ` ${this.graph.nodes[node][0]}`));
    return link;
  }
  link(node, text) {
    const link = make("a", {class: "jump", href: "#"}, visible(text));
    link.addEventListener("click", event => { event.preventDefault(); this.go(node); });
    return link;
  }

  story() {
    const {story, name, target} = this.graph, result = [make("h2", {}, visible(name))];
    const text = make("div", {class: "story"});
    for (const paragraph of story) {
      const p = make("p");
      for (const part of paragraph)
        p.append(typeof part === "string" ? visible(part) : this.link(...part));
      text.append(p);
    }
    result.push(text, make("p", {class: "soft hint"}, "Point at a feature to see what it is; click it for what leads to it and what it " +
      "leads to. Arrow keys go along edges and rows, Enter picks, Escape lets go."));
    return result;
  }

  links(title, edges, end) {
    if (!edges.length) return [];
    const list = make("ul", {class: "links"}, make("li", {class: "head"}, make("span", {}, ""), make("span", {}, "similar"), make("span", {}, "effect")));
    for (const edge of edges.slice(0, 40)) {
      const [from, to, similarity, effect] = this.graph.edges[edge];
      list.append(make("li", {}, this.jump(end === 0 ? from : to), make("span", {}, fixed(similarity)), make("span", {}, fixed(effect))));
    }
    if (edges.length > 40) list.append(make("li", {}, make("span", {class: "soft"}, `and ${edges.length - 40} more`)));
    return [make("h3", {}, title), list];
  }

  details(node) {
    const [feature, label, place] = this.graph.nodes[node], about = this.about(node);
    const result = [make("h2", {}, visible(label ?? feature)), make("p", {class: "soft"}, label ? `${feature}, ${place}` : place)];
    if (this.graph.target.includes(node)) result.push(make("p", {}, make("strong", {}, "A target of the graph.")));
    const numbers = [];
    if (about.density != null) numbers.push(`fires on ${(100 * about.density).toPrecision(2)}% of tokens`);
    if (about.mean != null) numbers.push(`${about.mean.toPrecision(3)} where it does`);
    if (about.largest != null) numbers.push(`at most ${about.largest.toPrecision(3)}`);
    if (numbers.length) result.push(make("p", {}, `${numbers.join(", ")}.`));
    if (about.promotes?.length) {
      const tokens = make("p", {class: "promotes"});
      for (const {token, logit} of about.promotes) tokens.append(make("span", {class: "token", title: `logit ${logit.toFixed(2)}`}, visible(token)));
      result.push(make("h3", {}, "Promotes"), tokens);
    }
    if (about.contexts?.length) result.push(make("h3", {}, "Fires most in"), ...about.contexts.map(one => this.context(one)));
    result.push(...this.links("Comes from", this.inward[node], 0), ...this.links("Leads to", this.outward[node], 1));
    if (about.neighbours?.length) {
      const list = make("ul", {class: "links"});
      for (const {feature: other, similarity} of about.neighbours) {
        const known = this.byName.get(other);
        list.append(make("li", {}, known === undefined ? make("span", {}, visible(other)) : this.jump(known), make("span", {}, fixed(similarity)), make("span")));
      }
      result.push(make("h3", {}, "Nearest"), list);
    }
    if (!about.contexts && !about.promotes) result.push(make("p", {class: "soft"}, "Its contexts and tokens are in the page if it is made with --text."));
    return result;
  }

  context({tokens, activations, document: text, source, position}) {
    const block = make("blockquote", {class: "context"}), most = Math.max(...activations, 1e-12);
    const peak = activations.indexOf(Math.max(...activations));
    tokens.forEach((token, index) => {
      const word = token.trimStart(), span = make("span", {title: activations[index].toFixed(2)}, visible(word || token));
      if (activations[index] > 0) {
        const share = Math.round(55 * activations[index] / most);
        span.style.setProperty("background", `color-mix(in srgb, var(--focus) ${share}%, transparent)`);
      }
      if (index === peak) span.className = "peak";
      block.append(visible(word ? token.slice(0, token.length - word.length) : ""), span);
    });
    block.append(make("footer", {}, `${most.toFixed(1)} in ${source ? visible(source) : `document ${text + 1}`}, token ${position}`));
    return block;
  }

  setTabStop(node) {
    this.nodes[this.tabStop].tabIndex = -1;
    this.tabStop = node;
    this.nodes[node].tabIndex = 0;
  }

  // To a node, wherever it is called from.
  go(node) {
    if (!this.alive[node]) { cut.value = cut.min; this.cutEdges(+cut.value); }
    this.setTabStop(node);
    this.nodes[node].focus({preventScroll: true});
    this.scrollTo(node);
    if (this.picked !== null) this.pick(node); else this.tell(node);
  }
  scrollTo(node, vertically = true) {
    const {scroll, zoom} = this, x = (this.places[node][0] + this.left) * zoom, y = this.places[node][1] * zoom, margin = 120;
    const across = scroll.clientWidth, down = scroll.clientHeight;
    if (x < scroll.scrollLeft + margin || x > scroll.scrollLeft + across - margin) scroll.scrollLeft = x - across / 2;
    if (vertically && (y < scroll.scrollTop + margin || y > scroll.scrollTop + down - margin)) scroll.scrollTop = y - down / 2;
  }

  // Up and down along the most similar edge, or to the nearest node of the next row; left and right in a row.
  neighbour(node, key) {
    const [x, y] = this.places[node], step = {ArrowUp: -1, ArrowDown: 1}[key];
    if (step) {
      const edge = (step < 0 ? this.inward : this.outward)[node].find(one => this.kept[one]);
      if (edge !== undefined) return this.graph.edges[edge][step < 0 ? 0 : 1];
    }
    let best = null, least = Infinity;
    this.places.forEach(([a, b], other) => {
      if (!this.alive[other] || other === node) return;
      const along = step ? (b - y) * step : Math.abs(b - y) < 2 ? (a - x) * (key === "ArrowRight" ? 1 : -1) : -1;
      const far = step ? along * 4 + Math.abs(a - x) : along;
      if (along > 0.5 && far < least) { least = far; best = other; }
    });
    return best;
  }

  find(text) {
    const wanted = text.trim().toLowerCase();
    this.found = !wanted ? [] : this.nodes.map((_, node) => node).filter(node => this.alive[node] && this.words(node).includes(wanted));
    const found = new Set(this.found);
    this.svg.classList.toggle("searching", Boolean(wanted));
    this.nodes.forEach((node, index) => node.classList.toggle("found", found.has(index)));
    this.at = -1;
    byId("found").textContent = wanted ? `${this.found.length} found` : "";
  }
  words(node) {
    this.texts ??= [];
    return this.texts[node] ??= [this.graph.nodes[node][0], this.graph.nodes[node][1] ?? "", ...(this.about(node).promotes ?? []).map(one => one.token),
      ...(this.about(node).contexts ?? []).map(one => one.tokens.join(""))].join("\n").toLowerCase();
  }
  next() {
    if (!this.found.length) return;
    this.at = (this.at + 1) % this.found.length;
    this.setTabStop(this.found[this.at]);
    this.scrollTo(this.found[this.at]);
    this.tell(this.found[this.at]);
    byId("found").textContent = `${this.at + 1} of ${this.found.length}`;
  }

  resize(zoom) {
    this.zoom = Math.min(3, Math.max(0.15, zoom));
    // Where there is more room than the graph needs, it is in the middle.
    this.left = Math.max(0, (this.scroll.clientWidth / this.zoom - this.width) / 2);
    const width = this.width + 2 * this.left;
    this.svg.setAttribute("viewBox", `${-this.left} 0 ${width} ${this.height}`);
    this.svg.style.width = `${width * this.zoom}px`;
    this.svg.style.height = `${this.height * this.zoom}px`;
    this.keepGutter();
  }
  // As wide as the window, as long as that can be read.
  fit() {
    const across = this.scroll.clientWidth / this.width;
    this.resize(Math.min(1.15, Math.max(this.svg.classList.contains("large") ? 0.3 : 0.82, across)));
    if (this.graph.target.length) this.scrollTo(this.graph.target[0], false);
  }
  keepGutter() { this.gutter.setAttribute("transform", `translate(${this.scroll.scrollLeft / this.zoom - this.left} 0)`); }

  listen() {
    const nodeOf = event => this.number.get(event.target.closest?.(".n")) ?? null;
    this.svg.addEventListener("pointerover", event => {
      const node = nodeOf(event);
      if (node !== null && this.picked === null) this.tell(node);
    });
    this.svg.addEventListener("focusin", event => {
      const node = nodeOf(event);
      if (node === null) return;
      this.setTabStop(node);
      this.tell(node);
    });
    this.svg.addEventListener("click", event => {
      const node = nodeOf(event);
      this.pick(node === this.picked ? null : node);
    });
    this.svg.addEventListener("keydown", event => {
      const node = nodeOf(event);
      if (node === null || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Enter" || event.key === " ") this.pick(node === this.picked ? null : node);
      else if (event.key.startsWith("Arrow")) {
        const next = this.neighbour(node, event.key);
        if (next !== null) { this.setTabStop(next); this.nodes[next].focus({preventScroll: true}); this.scrollTo(next); }
      } else return;
      event.preventDefault();
    });
    this.scroll.addEventListener("scroll", () => this.keepGutter(), {passive: true});
    this.scroll.addEventListener("wheel", event => {
      if (!event.ctrlKey) return;
      event.preventDefault();
      this.resize(this.zoom * Math.exp(-event.deltaY / 400));
    }, {passive: false});
  }
}

const sections = [...document.querySelectorAll(".view")];
const views = sections.map(() => null);
let current = null;
const show = index => {
  sections.forEach((section, other) => { section.hidden = other !== index; });
  current = views[index] ??= new View(sections[index], data.graphs[index]);
  const similarities = current.graph.edges.map(edge => edge[2]);
  const least = similarities.reduce((a, b) => Math.min(a, b), Infinity), most = similarities.reduce((a, b) => Math.max(a, b), -Infinity);
  // The most similar edge stays, wherever the slider is.
  cut.disabled = !similarities.length;
  cut.min = cut.disabled ? 0 : Math.floor(least * 100) / 100;
  cut.max = cut.disabled ? 1 : Math.floor(most * 100) / 100;
  cut.value = Math.max(current.cutAt ?? cut.min, cut.min);
  current.cutEdges(+cut.value);
  current.fit();
  current.pick(null);
};
byId("which")?.addEventListener("change", event => show(+event.target.value));
cut.addEventListener("input", () => current.cutEdges(+cut.value));
search.addEventListener("input", () => current.find(search.value));
byId("controls").addEventListener("submit", event => { event.preventDefault(); current.next(); });
byId("larger").addEventListener("click", () => current.resize(current.zoom * 1.25));
byId("smaller").addEventListener("click", () => current.resize(current.zoom / 1.25));
byId("fit").addEventListener("click", () => current.fit());
document.addEventListener("keydown", event => { if (event.key === "Escape" && event.target !== search) current.pick(null); });
addEventListener("resize", () => current.resize(current.zoom));
// Paper has room for one picture of the whole.
addEventListener("beforeprint", () => {
  current.gutter.setAttribute("transform", "translate(0 0)");
  current.svg.setAttribute("viewBox", `0 0 ${current.width} ${current.height}`);
  current.svg.style.width = `${current.width}px`;
});
addEventListener("afterprint", () => current.resize(current.zoom));
show(0);
})();
