// What no server can do: put text on the clipboard, put the cursor where one goes on, scroll by what fits, and tell how
// far an upload is. Copy buttons are shown only where this runs; without it files are sent as by any other form.
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

document.addEventListener("htmx:after:swap", () => document.querySelector("[data-focus]")?.focus());

document.addEventListener("submit", (event) => {
  const form = event.target;
  const files = [...form.querySelectorAll("input[type=file]")].flatMap((input) => [...input.files]);
  if (!("upload" in form.dataset) || !files.length) return;
  event.preventDefault();
  const state = form.querySelector("[data-upload-state]");
  const [bar, words] = state.children;
  const button = form.querySelector("button[type=submit]");
  const request = new XMLHttpRequest();
  const say = (text) => { words.className = ""; words.textContent = text; };
  const fail = (text) => { words.className = "notice bad"; words.textContent = text; bar.hidden = true; button.disabled = false; };
  state.hidden = bar.hidden = false;
  bar.value = 0;
  const size = files.reduce((sum, file) => sum + file.size, 0);
  if (size > Number(form.dataset.upload)) return fail("That is too much at once: choose fewer or smaller files.");
  button.disabled = true;
  say("Uploading …");
  request.upload.onprogress = ({ loaded, total }) => {
    bar.value = (100 * loaded) / total;
    say(loaded < total ? `${Math.floor(bar.value)} % of ${(total / 1e6).toFixed(1)} MB` : "Storing …");
  };
  request.onload = () => {
    const next = request.getResponseHeader("HX-Redirect");
    if (next) return location.assign(next);
    fail(new DOMParser().parseFromString(request.responseText, "text/html").body.textContent.trim() || "It was not stored.");
  };
  request.onerror = () => fail("The upload was broken off: look whether the server runs, then try again.");
  request.open("POST", form.action);
  request.setRequestHeader("HX-Request", "true");
  request.send(new FormData(form, event.submitter));
});

document.addEventListener("click", (event) => {
  const arrow = event.target.closest("[data-scroll]");
  const row = arrow && document.querySelector(arrow.hash)?.parentElement;
  if (!row) return;
  event.preventDefault();
  row.scrollBy({ left: (arrow.dataset.scroll === "on" ? 0.85 : -0.85) * row.clientWidth });
});
