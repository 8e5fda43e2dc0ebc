"use strict";
// The reader's own ways: their time zone, and how their language writes instants and numbers. The server writes both in
// one form (instants in UTC, numbers as core/numerals.py does), and sentences, tables and charts alike pass through here.
// What is meant to be typed or copied stays as it was written: code, fields, names (translate="no"), data-as-typed.
window.reader = (() => {
  const { locale, timeZone } = Intl.DateTimeFormat().resolvedOptions();
  const zone = timeZone || "UTC";
  const latin = { numberingSystem: "latn" };  // the same digits everywhere: figures stand in columns
  const two = "2-digit";
  const clock = { ...latin, year: "numeric", month: two, day: two, hour: two, minute: two, second: two };
  const instants = {
    minute: new Intl.DateTimeFormat(undefined, { ...clock, second: undefined }),
    second: new Intl.DateTimeFormat(undefined, clock),
    milli: new Intl.DateTimeFormat(undefined, { ...clock, fractionalSecondDigits: 3 }),
  };
  const days = new Intl.DateTimeFormat(undefined, { ...latin, year: "numeric", month: two, day: two, timeZone: "UTC" });

  // An instant in the reader's zone, to the minute, the second or the milli(second).
  const instant = (iso, to) => instants[to || "second"].format(new Date(iso));

  const forms = new Map();
  const form = (least, most) => {
    const key = least + "/" + most;
    if (!forms.has(key)) forms.set(key, new Intl.NumberFormat(undefined, { ...latin, minimumFractionDigits: least, maximumFractionDigits: most }));
    return forms.get(key);
  };
  const number = (value, most) => form(0, most).format(value);
  const same = form(1, 1).format(1234567.5) === "1,234,567.5";

  // Numbers as the server writes them, within any text: with commas between thousands, or with a point. No part of a
  // version, an address, an identifier.
  const ours = /(?<![\p{L}\d_.,:/#-])(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+\.\d+)(?![\p{L}\d_:/]|[.,]\d)/gu;
  const text = (written) => same ? written : written.replace(ours, (one) => {
    const places = (one.split(".")[1] || "").length;
    return form(places, places).format(one.replaceAll(",", ""));
  });
  // What stands under a bar of a chart: a day (of UTC), or any text.
  const label = (written) => /^\d{4}-\d\d-\d\d$/.test(written) ? days.format(new Date(written)) : text(written);

  const asItIs = "code,pre,kbd,time,textarea,script,style,[translate=no],[data-as-typed]";
  const before = new WeakMap();  // text node -> what the server wrote, and what stands there for it
  const texts = (root) => {
    if (root.nodeType === 3) return [root];
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT), found = [];
    while (walker.nextNode()) found.push(walker.currentNode);
    return found;
  };
  const say = (root) => {
    for (const node of texts(root)) {
      const known = before.get(node);
      if ((known && known.shown === node.data) || !node.parentElement || node.parentElement.closest(asItIs)) continue;
      const written = node.data, shown = text(written);
      if (shown === written) continue;
      before.set(node, { written, shown });
      node.data = shown;
    }
  };
  // What the server wrote again, before it is compared with what the server writes now.
  const asWritten = (root) => {
    if (same) return;
    for (const node of texts(root)) {
      const known = before.get(node);
      if (known && known.shown === node.data) node.data = known.written;
      before.delete(node);
    }
  };
  if (!same) {
    say(document.body);
    new MutationObserver((changes) => {
      for (const change of changes) for (const node of change.type === "childList" ? change.addedNodes : [change.target]) say(node);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  }

  const told = (zone === "UTC" ? "All times are UTC" : "Times are of " + zone + "; UTC is on hover")
    + (same ? "." : ". Dates and numbers are as " + locale + " writes them; type numbers with a point.");
  return { zone, told, instant, number, label, asWritten };
})();
