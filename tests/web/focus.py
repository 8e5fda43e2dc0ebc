"""Questions about the focus, to be asked in a page of any browser."""

from __future__ import annotations

HERE = """() => {
  const e = document.activeElement;
  if (!e || e === document.body) return "";
  const label = e.labels && e.labels[0];
  const name = e.getAttribute("aria-label") || (label && label.textContent) || e.textContent || e.name || e.id;
  return (name || e.tagName).trim().replace(/\\s+/g, " ");
}"""
"""What has the focus, by its name; empty where nothing has."""
SEEN = """() => {
  const e = document.activeElement, s = getComputedStyle(e), r = e.getBoundingClientRect();
  const ring = s.outlineStyle !== "none" && parseFloat(s.outlineWidth) >= 1;
  const inside = r.width > 0 && r.bottom > 0 && r.right > 0 && r.top < innerHeight && r.left < innerWidth;
  const at = document.elementFromPoint(Math.min(Math.max(r.left + r.width / 2, 0), innerWidth - 1),
                                       Math.min(Math.max(r.top + Math.min(r.height / 2, 12), 0), innerHeight - 1));
  const bare = !at || e.contains(at) || at.contains(e) || (e.labels && [...e.labels].some((l) => l.contains(at)));
  return [ring, inside, bare];
}"""
"""Whether what has the focus is ringed, within the window, and not covered by something else."""
