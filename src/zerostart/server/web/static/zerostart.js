// What no server can do: put text on the clipboard, and scroll by what fits. Copy buttons are shown only where this runs.
"use strict";
document.documentElement.classList.add("scripted");
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-link]");
  if (!button) return;
  const { copy, copyLink } = button.dataset;
  const source = document.getElementById(copy || copyLink);
  try {
    await navigator.clipboard.writeText(copyLink ? source.href : source.textContent);
    button.textContent = "Copied";
  } catch {
    window.getSelection().selectAllChildren(source); // no clipboard without https: it can be copied by hand
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
});
document.addEventListener("click", (event) => {
  const arrow = event.target.closest("[data-scroll]");
  const row = arrow && document.querySelector(arrow.hash)?.parentElement;
  if (!row) return;
  event.preventDefault();
  row.scrollBy({ left: (arrow.dataset.scroll === "on" ? 0.85 : -0.85) * row.clientWidth });
});
