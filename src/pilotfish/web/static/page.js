"use strict";
(() => {
  // -- dark and light
  const saved = localStorage.getItem("pilotfish-dark");
  const restore = () => {
    if (!window.Quasar || !Quasar.Dark || !Quasar.Dark.set) return setTimeout(restore, 50);
    if (saved !== null) Quasar.Dark.set(saved === "1");
  };
  restore();

  // -- charts take their text colours from the page
  const painted = new WeakMap();
  const paint = () => {
    const style = getComputedStyle(document.body);
    const soft = style.getPropertyValue("--soft").trim(), text = style.getPropertyValue("--text").trim();
    const card = style.getPropertyValue("--card").trim(), line = style.getPropertyValue("--line").trim();
    const axis = { axisLabel: { color: soft }, nameTextStyle: { color: soft } };
    for (const element of document.querySelectorAll(".chart")) {
      const chart = window.getElement && getElement(element.id.slice(1)) && getElement(element.id.slice(1)).chart;
      if (!chart || painted.get(chart) === soft) continue;
      painted.set(chart, soft);
      chart.setTheme({
        categoryAxis: axis, valueAxis: axis, timeAxis: axis, legend: { textStyle: { color: soft } },
        tooltip: { backgroundColor: card, borderColor: line, textStyle: { color: text } },
      });
    }
  };
  setInterval(paint, 250);

  // -- relative times
  const ago = (then) => {
    const s = Math.round((Date.now() - then) / 1000);
    if (s < 0) return "in " + span(-s);
    return span(s) + " ago";
  };
  const span = (s) => {
    if (s < 60) return s + " s";
    if (s < 3600) return Math.floor(s / 60) + " min";
    if (s < 86400) return Math.floor(s / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  };
  const refresh = () => {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(element.getAttribute("datetime")));
      if (element.textContent !== text) element.textContent = text;
    }
  };
  setInterval(refresh, 1000);
  new MutationObserver(refresh).observe(document, { childList: true, subtree: true });

  // -- telling
  const toast = (text, bad) => {
    const box = document.getElementById("toasts");
    if (!box) return;
    const one = document.createElement("div");
    one.className = bad ? "toast bad" : "toast";
    one.textContent = (bad ? "▲ " : "✓ ") + text;
    box.append(one);
    setTimeout(() => one.remove(), bad ? 9000 : 4000);
  };
  const dialog = (content, label, kind) => {
    const box = document.createElement("dialog");
    box.className = "pf " + kind;
    box.setAttribute("aria-label", label);
    box.append(content);
    document.body.append(box);
    box.addEventListener("close", () => box.remove());
    box.addEventListener("click", (e) => { if (e.target === box) box.close(); });
    box.showModal();
    return box;
  };
  const confirm = (question, typed) => new Promise((answer) => {
    const form = document.createElement("form");
    form.method = "dialog";
    const text = document.createElement("p");
    text.textContent = question;
    form.append(text);
    const go = Object.assign(document.createElement("button"), { textContent: "Do it", className: "primary", value: "yes" });
    if (typed) {
      const label = document.createElement("label");
      label.textContent = "Type " + typed + " to go on ";
      const input = Object.assign(document.createElement("input"), { autocomplete: "off" });
      label.append(input);
      form.append(label);
      go.disabled = true;
      input.addEventListener("input", () => { go.disabled = input.value.trim() !== typed; });
    }
    const stop = Object.assign(document.createElement("button"), { textContent: "Cancel", value: "no" });
    const row = document.createElement("p");
    row.className = "buttons";
    row.append(stop, go);
    form.append(row);
    const box = dialog(form, question, "ask");
    box.addEventListener("close", () => answer(box.returnValue === "yes"));
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
    if (button) { button.disabled = true; button.setAttribute("aria-busy", "true"); }
    try { return await task(); }
    catch (problem) { fail(element, problem.message); }
    finally { if (button) { button.disabled = false; button.removeAttribute("aria-busy"); } }
  };
  const fail = (element, text) => {
    const place = element.querySelector && element.querySelector("[data-wrong]");
    if (place) { place.textContent = "▲ " + text; place.hidden = false; } else toast(text, true);
  };
  const done = (element, told) => {
    const data = element.dataset;
    const place = element.querySelector && element.querySelector("[data-wrong]");
    if (place) place.hidden = true;
    if (data.done !== undefined) toast(data.done || (told && told.status) || "Done");
    if (data.go === "reload") location.reload();
    else if (data.go) location.href = data.go;
  };

  document.addEventListener("click", async (e) => {
    const target = e.target.closest && e.target.closest("[data-theme-toggle],[data-post],[data-drawer],[data-close],tr[data-href]");
    if (!target) return;
    if (target.matches("[data-theme-toggle]")) {
      Quasar.Dark.toggle();
      localStorage.setItem("pilotfish-dark", Quasar.Dark.isActive ? "1" : "0");
    } else if (target.matches("[data-close]")) {
      target.closest("dialog").close();
    } else if (target.matches("[data-drawer]")) {
      e.preventDefault();
      drawer(target.dataset.drawer);
    } else if (target.matches("[data-post]")) {
      const { confirm: question, typed, body, method } = target.dataset;
      if (question && !(await confirm(question, typed))) return;
      await work(target, async () => done(target, await call(method || "POST", target.dataset.post, body ? JSON.parse(body) : undefined)));
    } else if (target.matches("tr[data-href]") && !e.target.closest("a,button")) {
      location.href = target.dataset.href;
    }
  });

  const drawer = async (url) => {
    try {
      const answer = await fetch(url, { credentials: "same-origin" });
      if (!answer.ok) throw new Error("HTTP " + answer.status);
      const content = document.createElement("div");
      content.innerHTML = await answer.text();
      dialog(content, "Details", "drawer");
    } catch (problem) { toast("The details cannot be read: " + problem.message, true); }
  };

  // Settings by a word of theirs, or only what is changed.
  const sift = () => {
    const word = (document.querySelector("[data-filter]").value || "").trim().toLowerCase();
    const changed = document.querySelector("[data-changed]").checked;
    let found = 0;
    for (const group of document.querySelectorAll(".group")) {
      let some = 0;
      for (const one of group.querySelectorAll(".setting")) {
        const text = one.firstElementChild.textContent.toLowerCase();
        one.hidden = !text.includes(word) || (changed && !one.classList.contains("changed"));
        some += one.hidden ? 0 : 1;
      }
      group.hidden = some === 0;
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
    const [method, url] = form.dataset.send.split(" ");
    await work(form, async () => {
      const told = await call(method, url, collect(form));
      if (form.dataset.show) {
        const shown = await fetch(form.dataset.show + encodeURIComponent(told.wallet), { credentials: "same-origin" });
        const text = await shown.text();
        if (!shown.ok) throw new Error(JSON.parse(text).detail || "HTTP " + shown.status);
        form.parentElement.querySelector("[data-shown]").innerHTML = text;
      }
      if (form.dataset.setting) shown(form, told[0]);
      done(form, told);
    });
  });

  // One setting's form: saved when its field changes, and shown as the server has it now.
  const shown = (form, setting) => {
    const field = form.elements[setting.name];
    if (field.type === "checkbox") field.checked = setting.value; else field.value = setting.value;
    const note = form.querySelector("[data-source]");
    note.textContent = setting.source + setting.overrides.map((o) => ", overrides " + o.source + " " + o.value).join("");
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
      shown(form, told[0]);
      done(form, told);
    });
  });
})();
