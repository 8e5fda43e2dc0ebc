"use strict";
(() => {
  const all = (selector, root) => (root || document).querySelectorAll(selector);
  const closest = (e, selector) => e.target.closest && e.target.closest(selector);

  // -- dark and light: as chosen here, else as the system has it (theme.js sets it before anything is drawn)
  const dark = () => {
    const chosen = document.documentElement.dataset.theme;
    return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  };
  const toggleTheme = () => {
    const theme = dark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    localStorage.setItem("pilotfish-theme", theme);
    drawCharts();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawCharts());

  // -- times: relative ones are kept so; all are of one time zone, the reader's, with UTC on hover (reader.js)
  const span = (s) => {
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 86400) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };
  const ago = (then) => {
    const s = Math.round((Date.now() - then) / 1000);
    return s < 0 ? "in " + span(-s) : span(s) + " ago";
  };
  const sayTimes = () => {
    for (const element of all("time[datetime]")) {
      const iso = element.getAttribute("datetime");
      const relative = element.hasAttribute("data-ago");
      const text = relative ? ago(Date.parse(iso)) : reader.instant(iso, element.dataset.clock);
      if (element.textContent !== text) element.textContent = text;
      const utc = iso.slice(0, 23).replace("T", " ") + " UTC";
      const title = relative && reader.zone !== "UTC" ? reader.instant(iso) + " " + reader.zone + ", " + utc : utc;
      if (element.title !== title) element.title = title;
    }
    for (const element of all("[data-zone]")) {
      if (element.textContent !== reader.told) element.textContent = reader.told;
    }
  };

  // -- charts: options come as data, colours of text from the page
  const charts = new Map();
  const tidy = (text) => String(text).replace(/^-(?=[\d.])/, "\u2212");
  const drawCharts = () => {
    for (const [element, chart] of charts) if (!element.isConnected) { chart.dispose(); charts.delete(element); }
    if (!window.echarts) return;
    const style = getComputedStyle(document.documentElement);
    const of = (name) => style.getPropertyValue(name).trim();
    const probe = document.createElement("i");
    document.body.append(probe);
    const colour = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
    const [soft, text, card, line] = ["--soft", "--text", "--card", "--line"].map(colour);
    probe.remove();
    for (const element of all(".chart[data-chart]")) {
      const data = element.dataset.chart, look = data + soft;
      if (element.drawn === look) continue;
      element.drawn = look;
      let chart = charts.get(element);
      if (!chart) { chart = echarts.init(element, null, { renderer: "canvas" }); charts.set(element, chart); }
      const options = JSON.parse(data);
      const zoom = (chart.getOption() || {}).dataZoom;
      const axes = (given) => [].concat(given || []).map((axis) => ({
        ...axis, nameTextStyle: { color: soft }, ...(axis.data ? { data: axis.data.map(reader.label) } : {}),
        axisLabel: { color: soft, ...(axis.type === "value" ? { formatter: (v) => tidy(reader.number(v, 3)) } : {}), ...axis.axisLabel },
      }));
      chart.setOption({
        ...options, animation: false,  // whole at once: it is drawn anew as trades come
        xAxis: axes(options.xAxis), yAxis: axes(options.yAxis),
        legend: options.legend && { ...options.legend, textStyle: { color: soft } },
        tooltip: { ...options.tooltip, backgroundColor: card, borderColor: line, textStyle: { color: text },
                   valueFormatter: (v) => typeof v === "number" ? tidy(reader.number(v, 3)) : v },
      }, { notMerge: true });
      if (zoom && zoom.length && options.dataZoom) chart.setOption({ dataZoom: zoom.map(({ start, end }) => ({ start, end })) });
    }
  };
  addEventListener("resize", () => { for (const chart of charts.values()) chart.resize(); });

  // -- what changes by itself: the page asks for its own address again and gets the parts that differ
  const same = { morphStyle: "innerHTML", restoreFocus: true, callbacks: {
    beforeNodeMorphed: (old, fresh) => {
      if (old.nodeType !== 1) return true;
      if (old.matches("time") && fresh.matches && fresh.matches("time") && old.getAttribute("datetime") === fresh.getAttribute("datetime")) return false;
      if (old.matches(".chart") && fresh.matches && fresh.matches(".chart")) {
        if (old.id === fresh.id) { old.dataset.chart = fresh.dataset.chart; old.setAttribute("aria-label", fresh.getAttribute("aria-label")); return false; }
      }
      if (old.matches("[data-keep]")) return false;
      return true;
    },
    beforeAttributeUpdated: (name, node) => !(name === "open" && node.matches("details")) && !(name === "class" && node.matches(".folding")) && !(name === "aria-expanded" && node.matches("[data-fold]")),
  } };

  const morph = (element, content) => { reader.asWritten(element); Idiomorph.morph(element, content, same); };

  // -- rows that unfold: what is under one is asked for when it is opened, and again when the row has become another one
  const under = (button) => document.getElementById(button.getAttribute("aria-controls"));
  const fill = async (button) => {
    const row = under(button), url = button.dataset.fold;
    if (!row || row.holds === url) return;
    row.holds = url;
    try {
      const answer = await fetch(url, { credentials: "same-origin" });
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      morph(row.firstElementChild, await answer.text());
      sayTimes();
    } catch (problem) { row.holds = undefined; toast("What is under it cannot be read: " + problem.message, true); }
  };
  const fold = (button) => {
    const open = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(open));
    under(button).hidden = !open;
    if (open) fill(button);
  };
  const live = document.getElementById("live");
  const every = Number(document.body.dataset.every) * 1000;
  let asking = false, lostSince = 0;
  const lost = (yes, why) => {
    let banner = document.getElementById("lost");
    if (!yes) { lostSince = 0; if (banner) banner.remove(); return; }
    lostSince ||= Date.now();
    if (banner || Date.now() - lostSince < 3000) return;
    banner = Object.assign(document.createElement("div"), { id: "lost", className: "banner bad", textContent: (why ? "This page cannot be made anew: " + why + "." : "The dashboard does not answer.") + " What follows is its last state; it goes on by itself." });
    banner.setAttribute("role", "alert");
    const told = document.getElementById("told");
    if (told) told.before(banner);
  };
  const ask = async () => {
    if (asking || !live || document.visibilityState === "hidden") return;
    asking = true;
    try {
      const answer = await fetch(location.href, { credentials: "same-origin", headers: { "X-Live": live.dataset.have }, redirect: "error" });
      if (answer.status === 401 || answer.status === 421) return location.reload();
      const ill = answer.status >= 500;
      lost(ill, ill && (await answer.json().catch(() => ({}))).detail);
      if (answer.status !== 200) return;
      const told = await answer.json();
      const at = document.activeElement, row = at && at.closest("tr[id]");
      for (const [name, content] of Object.entries(told.parts)) {
        const element = document.getElementById(name);
        if (element) morph(element, content);
      }
      // what had the focus is gone, its row is not: the focus stays there
      if (row && !at.isConnected) {
        const next = document.getElementById(row.id), inside = next && next.querySelector("a[href],button");
        if (inside) inside.focus();
      }
      live.dataset.have = JSON.stringify(told.have);
      for (const button of all("[data-fold][aria-expanded=true]")) fill(button);
      sayTimes();
      drawCharts();
    } catch (problem) { lost(true); }
    finally { asking = false; }
  };
  // -- what was shown in place and goes on by itself: asked for again while something in it runs, or was just asked for
  let renewing = false;
  const renew = async (now) => {
    if (renewing || document.visibilityState === "hidden") return;
    renewing = true;
    try {
      for (const element of all("[data-renew]")) {
        if (!now && !element.querySelector("[data-running]")) continue;
        const answer = await fetch(element.dataset.renew, { credentials: "same-origin" });
        if (!answer.ok) continue;
        morph(element, await answer.text());
        sayTimes();
      }
    } catch (problem) { lost(true); }
    finally { renewing = false; }
  };
  setInterval(renew, 1000, false);
  const go = async () => { await ask(); setTimeout(go, lostSince ? Math.max(every, 1500) : every); };
  if (live && every) setTimeout(go, every);
  document.addEventListener("visibilitychange", ask);

  // -- telling
  const topmost = () => [...all("dialog[open]")].pop();
  const toast = (text, bad) => {
    const box = document.getElementById("toasts");
    if (!box) return;
    (topmost() || document.body).append(box);  // a dialog covers what is not in it
    const one = document.createElement("div");
    one.className = bad ? "toast bad" : "toast";
    one.textContent = (bad ? "▲ " : "✓ ") + text;
    for (const old of [...box.children]) if (old.textContent === one.textContent) old.remove();  // said once is enough
    box.append(one);
    setTimeout(() => one.remove(), bad ? 9000 : 4000);
  };
  // A dialog, in the middle of the window or as a drawer. Escape, a press beside it and what is marked data-close close
  // it; the focus goes back to where it was.
  const dialog = (content, label, kind) => {
    const box = document.createElement("dialog"), before = document.activeElement;
    box.className = "pf " + kind;
    box.setAttribute("aria-label", label);
    box.append(content);
    document.body.append(box);
    box.addEventListener("close", () => {
      const toasts = box.querySelector("#toasts");
      if (toasts) document.body.append(toasts);
      box.remove();
      if (before && before.isConnected) before.focus();
    });
    box.addEventListener("click", (e) => {
      const { left, right, top, bottom } = box.getBoundingClientRect();
      if (e.target === box && (e.clientX < left || e.clientX > right || e.clientY < top || e.clientY > bottom)) box.close();
    });
    box.showModal();
    return box;
  };
  // Asks before something is done: true if so. ``ask`` has what to show, as plain text (confirm) or as the address of a
  // fragment (ask), what the button says (verb; the fragment's own data-verb goes before it, and a fragment without one
  // has nothing to confirm), and what must be typed first (typed). Enter presses that button once it can be pressed.
  const confirm = (ask) => new Promise((answer) => {
    const element = (name, more) => Object.assign(document.createElement(name), more);
    const form = element("form", { method: "dialog", className: "asking" });
    const text = element("div", { className: "question", tabIndex: -1, autofocus: true });
    const go = element("button", { className: "primary", value: "yes", disabled: true, hidden: true });
    const stop = element("button", { type: "button", textContent: "Cancel" });
    const row = element("p", { className: "buttons" });
    row.append(stop, go);
    form.append(text, row);
    const box = dialog(form, ask.confirm || "Please confirm", "ask");
    stop.addEventListener("click", () => box.close());
    box.addEventListener("close", () => answer(box.returnValue === "yes"));
    box.addEventListener("keydown", (e) => {
      if (e.key !== "Enter" || e.target.closest("button,a")) return;
      e.preventDefault();
      if (!go.hidden && !go.disabled) go.click();
    });
    const offer = (verb) => {
      if (!verb) { stop.textContent = "Close"; stop.focus(); return; }
      go.textContent = verb;
      go.hidden = false;
      if (!ask.typed) { go.disabled = false; go.focus(); return; }
      const input = element("input", { autocomplete: "off" });
      const label = element("label", { textContent: "Type " + ask.typed + " to go on " });
      label.append(input);
      row.before(label);
      input.addEventListener("input", () => { go.disabled = input.value.trim() !== ask.typed; });
      input.focus();
    };
    if (!ask.ask) {
      text.append(element("p", { textContent: ask.confirm }));
      offer(ask.verb || "Do it");
      return;
    }
    text.append(element("p", { textContent: "Reading what it would bring…" }));
    fetch(ask.ask, { credentials: "same-origin" }).then(async (found) => {
      if (found.status === 401) return location.reload();
      const content = await found.text();
      if (!found.ok) throw new Error("HTTP " + found.status);
      if (!box.isConnected) return;
      text.innerHTML = content;
      const heading = text.querySelector("h2");
      if (heading) box.setAttribute("aria-label", heading.textContent);
      sayTimes();
      const verb = text.querySelector("[data-verb]");
      offer(verb && verb.dataset.verb);
    }).catch((problem) => {
      text.replaceChildren(element("p", { className: "wrong", textContent: "▲ It cannot be told what this would bring: " + problem.message }));
      offer("");
    });
  });

  // -- asking the server
  const call = async (method, url, body) => {
    const answer = await fetch(url, {
      method, credentials: "same-origin",
      headers: { "Content-Type": "application/json", "X-Pilotfish": "1", Accept: "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    if (answer.status === 204) return null;
    const told = await answer.json().catch(() => ({ detail: "HTTP " + answer.status }));
    if (answer.status === 401) {
      location.href = "/login?next=" + encodeURIComponent(location.pathname + location.search);
      throw new Error("sign in first");
    }
    if (!answer.ok) throw new Error(told.detail || "HTTP " + answer.status);
    return told;
  };

  const work = async (element, task) => {
    const button = element.matches("button") ? element : element.querySelector("button");
    if (button && button.busy) return;
    if (button) { button.busy = true; button.setAttribute("aria-busy", "true"); }
    try { return await task(); }
    catch (problem) { element.sent = undefined; fail(element, problem.message); }
    finally { if (button) { button.busy = false; button.removeAttribute("aria-busy"); } }
  };
  const fail = (element, text) => {
    const place = element.querySelector && element.querySelector("[data-wrong]");
    if (place) { place.textContent = "▲ " + text; place.hidden = false; } else toast(text, true);
  };
  const done = (element, told) => {
    const data = element.dataset;
    const place = element.querySelector && element.querySelector("[data-wrong]");
    if (place) place.hidden = true;
    const shown = data.clears !== undefined && element.closest("[data-shown]");
    if (shown) {  // what was looked up is done with; the next one can be typed
      const field = shown.parentElement.querySelector("form[data-show] input");
      shown.replaceChildren();
      field.value = "";
      field.focus();
    }
    if (data.done !== undefined) toast(data.done || (told && told.status) || "Done");
    if (data.fresh !== undefined) element.reset();
    if (data.go === "now") { ask(); renew(true); }
    else if (data.go === "reload") location.reload();
    else if (data.go) location.href = data.go.replace("{name}", encodeURIComponent((told && told.name) || ""));
  };

  document.addEventListener("click", async (e) => {
    const target = closest(e, "[data-theme-toggle],[data-post],[data-drawer],[data-close],[data-copy],[data-fold],tr[data-href],tr[data-open]");
    if (!target) return;
    if (target.matches("[data-theme-toggle]")) {
      toggleTheme();
    } else if (target.matches("[data-copy]")) {
      await navigator.clipboard.writeText(target.dataset.copy).then(() => toast("Copied"), () => toast("The browser does not let a page copy here", true));
    } else if (target.matches("[data-close]")) {
      target.closest("dialog").close();
    } else if (target.matches("[data-fold]")) {
      fold(target);
    } else if (target.matches("[data-drawer]")) {
      e.preventDefault();
      drawer(target.dataset.drawer);
    } else if (target.matches("[data-post]")) {
      const { body, method } = target.dataset;
      if ((target.dataset.confirm || target.dataset.ask) && !(await confirm(target.dataset))) return;
      await work(target, async () => done(target, await call(method || "POST", target.dataset.post, body ? JSON.parse(body) : undefined)));
    } else if (!e.target.closest("a,button,input,select,label,summary") && !String(getSelection())) {
      if (target.dataset.open) drawer(target.dataset.open);
      else location.href = target.dataset.href;
    }
  });

  const drawer = async (url) => {
    try {
      const answer = await fetch(url, { credentials: "same-origin" });
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      const content = document.createElement("div");
      content.innerHTML = await answer.text();
      dialog(content, "Details", "drawer");
      sayTimes();
      drawCharts();
    } catch (problem) { toast("The details cannot be read: " + problem.message, true); }
  };

  // Settings by a word of theirs, or only what is changed.
  const sift = () => {
    const word = (document.querySelector("[data-filter]").value || "").trim().toLowerCase();
    const changed = document.querySelector("[data-changed]").checked;
    const words = word.split(/\s+/).filter(Boolean);
    let found = 0;
    for (const group of document.querySelectorAll(".group")) {
      if (!group.querySelector(".setting")) { group.hidden = Boolean(word) || changed; continue; }
      let some = 0;
      for (const one of group.querySelectorAll(".setting")) {
        const text = one.dataset.words.toLowerCase();
        one.hidden = !words.every((w) => text.includes(w)) || (changed && !one.classList.contains("changed"));
        some += one.hidden ? 0 : 1;
      }
      group.hidden = some === 0;
      const fold = group.querySelector("details[data-advanced]");
      if (fold) fold.open = (Boolean(word) || changed) && some > 0;
      found += some;
    }
    document.querySelector("[data-none]").hidden = found > 0;
  };
  document.addEventListener("input", (e) => { if (e.target.matches("[data-filter],[data-changed]")) sift(); });
  document.addEventListener("click", (e) => {
    const button = e.target.closest && e.target.closest("[data-unfold]");
    if (!button) return;
    const open = button.closest("form").classList.toggle("unfolded");
    button.setAttribute("aria-expanded", open ? "true" : "false");
  });

  // Forms that write. Fields are collected by name; boxes with data-list make a list of what is ticked, and one with
  // data-all makes it null, which means everything.
  const collect = (form) => {
    const body = {};
    let all = null;
    for (const field of form.elements) {
      if (!field.name || field.disabled) continue;
      if (field.type === "radio" && !field.checked) continue;
      if (field.dataset.all !== undefined) { if (field.checked) all = field.name; continue; }
      if (field.dataset.list !== undefined) {
        body[field.name] ||= [];
        if (field.checked) body[field.name].push(field.value);
        continue;
      }
      const value = field.type === "checkbox" ? field.checked : field.value;
      if (value === "" && field.dataset.optional !== undefined) continue;
      if (field.dataset.into) (body[field.dataset.into] ||= {})[field.name] = value;
      else body[field.name] = value;
    }
    if (all) body[all] = null;
    return body;
  };
  document.addEventListener("submit", async (e) => {
    const form = e.target;
    if (!form.matches("form[data-send]")) return;
    e.preventDefault();
    // Enter saves a setting, and so does leaving its field: the same value once
    const sent = form.dataset.setting && JSON.stringify(collect(form));
    if (sent && form.sent === sent) return;
    form.sent = sent;
    const [method, url] = form.dataset.send.split(" ");
    const place = form.dataset.show && form.parentElement.querySelector("[data-shown]");
    if (place) place.replaceChildren();  // what is shown is of the question before
    await work(form, async () => {
      const told = await call(method, url, collect(form));
      if (form.dataset.show) {
        const shown = await fetch(form.dataset.show + encodeURIComponent(told.wallet), { credentials: "same-origin" });
        const text = await shown.text();
        if (!shown.ok) throw new Error(JSON.parse(text).detail || "HTTP " + shown.status);
        place.innerHTML = text;
        sayTimes();
      }
      if (form.dataset.setting) shown(form, told[0]);
      done(form, told);
    });
  });

  // A field that stands for one choice alone is there while that is chosen.
  document.addEventListener("change", (e) => {
    if (!e.target.matches || !e.target.matches("select[data-reveals]")) return;
    for (const one of all("[data-when]", e.target.form)) {
      one.hidden = one.dataset.when !== e.target.value;
      for (const field of all("input,textarea", one)) field.disabled = one.hidden;
    }
  });

  // One setting's form: saved when its field changes, and shown as the server has it now.
  const shown = (form, setting) => {
    const field = form.elements[setting.name];
    if (field.type === "checkbox") field.checked = setting.value; else field.value = setting.value;
    const note = form.querySelector("[data-source]");
    note.textContent = setting.source + setting.overrides.map((o) => ", overrides " + o.source + " " + o.value).join("");
    const zero = form.querySelector("[data-zero]");
    if (zero) zero.hidden = Number(setting.value) !== 0;
    const back = form.querySelector("[data-unset]");
    if (back) back.hidden = !["dashboard", "portfolio", "leader"].includes(setting.source) || setting.source !== back.dataset.level;
    form.classList.toggle("changed", setting.source !== "default");
  };
  document.addEventListener("change", (e) => {
    const box = e.target;
    if (box.matches && box.matches("[data-list]") && !box.checked) {
      const all = box.form.querySelector("[data-all]");
      if (all) all.checked = false;
    } else if (box.matches && box.matches("[data-all]") && box.checked) {
      for (const one of box.form.querySelectorAll("[data-list]")) one.checked = true;
    }
    const form = e.target.closest && e.target.closest("form[data-setting]");
    if (form) form.requestSubmit();
    const pick = e.target.closest && e.target.closest("form[data-auto]");
    if (pick) pick.requestSubmit();
  });
  document.addEventListener("click", async (e) => {
    const back = e.target.closest && e.target.closest("[data-unset]");
    if (!back) return;
    const form = back.closest("form");
    await work(form, async () => {
      const [method, url] = form.dataset.send.split(" ");
      const told = await call(method, url, { [form.dataset.setting]: null });
      form.sent = undefined;
      shown(form, told[0]);
      done(form, told);
    });
  });

  // -- the keyboard: g and a letter open a page, / finds, ? helps; not while somebody writes
  const keysOn = () => localStorage.getItem("pilotfish-keys") !== "off";
  const help = () => {
    const content = document.createElement("div");
    content.append(document.getElementById("shortcuts").content.cloneNode(true));
    content.querySelector("[data-keys]").checked = keysOn();
    dialog(content, "Keyboard shortcuts", "ask");
  };
  let going = false;
  document.addEventListener("keydown", (e) => {
    if (!keysOn() || e.ctrlKey || e.metaKey || e.altKey) return;
    // what is not shown has no say: a dialog keeps the focus for a moment after it was closed
    if (e.target.closest("input,select,textarea,dialog") && e.target.checkVisibility()) return;
    if (!document.getElementById("shortcuts")) return;
    if (e.key === "?") { e.preventDefault(); help(); }
    else if (e.key === "/") {
      const field = document.querySelector("main input[type=search]");
      if (field) { e.preventDefault(); field.focus(); }
    } else if (e.key === "g" && !going) { going = true; return; }
    else if (going) {
      const link = document.getElementById("shortcuts").content.querySelector(`[data-key="${CSS.escape(e.key)}"]`);
      if (link) location.href = link.getAttribute("href");
    }
    going = false;
  });
  document.addEventListener("change", (e) => {
    if (e.target.matches("[data-keys]")) localStorage.setItem("pilotfish-keys", e.target.checked ? "on" : "off");
  });
  document.addEventListener("click", (e) => { if (closest(e, "[data-shortcuts]")) help(); });

  // A link to a group of settings opens it.
  const unfold = () => {
    const group = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const fold = group && group.querySelector("details[data-advanced]");
    if (fold) { fold.open = true; group.scrollIntoView(); }
  };
  addEventListener("hashchange", unfold);
  unfold();

  sayTimes();
  drawCharts();
  setInterval(sayTimes, 1000);
  document.documentElement.dataset.ready = "";  // from now on a click does something
})();
