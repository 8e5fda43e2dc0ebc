"use strict";
(() => {
  const saved = localStorage.getItem("pilotfish-dark");
  window.pilotfishToggle = () => {
    Quasar.Dark.toggle();
    localStorage.setItem("pilotfish-dark", Quasar.Dark.isActive ? "1" : "0");
  };
  const restore = () => {
    if (!window.Quasar || !Quasar.Dark || !Quasar.Dark.set) return setTimeout(restore, 50);
    if (saved !== null) Quasar.Dark.set(saved === "1");
  };
  restore();
  const ago = (then) => {
    const s = Math.max(0, Math.round((Date.now() - then) / 1000));
    if (s < 60) return s + " s ago";
    if (s < 3600) return Math.floor(s / 60) + " min ago";
    if (s < 86400) return Math.floor(s / 3600) + " h ago";
    return Math.floor(s / 86400) + " d ago";
  };
  const refresh = () => {
    for (const element of document.querySelectorAll("time[data-ago]")) {
      const text = ago(Date.parse(element.getAttribute("datetime")));
      if (element.textContent !== text) element.textContent = text;
    }
  };
  setInterval(refresh, 1000);
  new MutationObserver(refresh).observe(document, { childList: true, subtree: true });
})();
