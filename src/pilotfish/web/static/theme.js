"use strict";
// Before anything is drawn: dark or light as it was chosen here last; else as the system has it.
(() => {
  const chosen = localStorage.getItem("pilotfish-theme");
  if (chosen) document.documentElement.dataset.theme = chosen;
})();
