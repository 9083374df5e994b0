// Labels as chips, and texts out of a file. Without this the text fields do: what is in them is what is sent.
"use strict";
(() => {
  const make = (tag, properties = {}) => Object.assign(document.createElement(tag), properties);

  // As the server reads them: one a line; on a single line they are separated by commas.
  const labelsOf = (text) => {
    const lines = text.trim().split(/\r\n|\n|\r/);
    const parts = lines.length > 1 ? lines : text.split(/[,;]/);
    return [...new Set(parts.map((part) => part.trim()).filter(Boolean))];
  };

  const editChips = (field) => {
    const area = field.querySelector("textarea");
    const list = field.querySelector(".chips");
    const label = field.querySelector("label");
    const box = make("div", { className: "chip-box" });
    const typed = make("input", { id: "label-typed", type: "text", autocomplete: "off", enterKeyHint: "enter", dir: "auto" });
    const said = make("span", { className: "hidden" });
    said.setAttribute("role", "status");
    let chips = labelsOf(area.value);

    const counted = () => `${chips.length} label${chips.length === 1 ? "" : "s"}`;
    const show = () => {
      list.replaceChildren(...chips.map((chip) => {
        const item = make("li", { textContent: chip, dir: "auto" });
        const remove = make("button", { type: "button", className: "chip-remove" });
        remove.setAttribute("aria-label", `Remove ${chip}`);
        remove.addEventListener("click", () => drop(chip));
        item.append(remove);
        return item;
      }));
      typed.placeholder = chips.length ? "Add a label" : area.placeholder;
    };
    const send = () => { // what is being typed counts already
      const text = labelsOf([...chips, typed.value.trim()].filter(Boolean).join("\n")).join("\n");
      if (text === area.value) return;
      area.value = text;
      area.dispatchEvent(new Event("input", { bubbles: true }));
    };
    const add = (labels) => {
      chips = labelsOf([...chips, ...labels].join("\n"));
      typed.value = "";
      said.textContent = counted();
      show();
      send();
    };
    const drop = (chip) => {
      const at = chips.indexOf(chip);
      chips = labelsOf(chips.filter((each) => each !== chip).join("\n"));
      said.textContent = `${chip} removed, ${counted()}`;
      show();
      send();
      (list.children[Math.min(at, chips.length - 1)]?.querySelector("button") ?? typed).focus();
    };
    typed.addEventListener("input", () => {
      if (/[,;]/.test(typed.value)) {
        const parts = typed.value.split(/[,;]/);
        const rest = parts.pop().trimStart();
        add(parts);
        typed.value = rest;
      }
      send();
    });
    typed.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && typed.value.trim() && !event.isComposing) {
        event.preventDefault();
        add([typed.value]);
      } else if (event.key === "Backspace" && !typed.value && chips.length) {
        drop(chips.at(-1));
        typed.focus();
      }
    });
    typed.addEventListener("paste", (event) => {
      const labels = labelsOf(event.clipboardData.getData("text"));
      if (labels.length < 2) return;
      event.preventDefault();
      add([typed.value, ...labels]);
    });
    typed.addEventListener("blur", () => { if (typed.value.trim()) add([typed.value]); });
    box.addEventListener("click", (event) => { if (event.target === box || event.target === list) typed.focus(); });
    label.htmlFor = typed.id;
    label.querySelector(".quiet").textContent = "Enter or a comma adds one; paste many at once";
    list.setAttribute("aria-label", "Chosen labels");
    area.hidden = true;
    box.append(list, typed);
    field.append(box, said);
    show();
  };

  const cellsOf = (text, separator) => {
    const rows = [[]];
    for (const { index, 1: quoted, 2: plain, 3: end } of text.matchAll(separator)) {
      if (index === text.length) break;
      rows.at(-1).push(quoted === undefined ? plain : quoted.replaceAll('""', '"'));
      if (end && end !== "," && end !== "\t") rows.push([]);
    }
    return rows.filter((row) => row.some((cell) => cell.trim()));
  };
  const TEXT_NAMES = ["text", "texts", "inputs", "sequence", "sequences", "sentence", "content", "body", "message", "review", "comment", "description", "title"];
  const fromTable = (text, separator) => {
    const rows = cellsOf(text, separator);
    if (rows.length < 2) return { texts: [text], from: "" };
    const head = rows[0].map((cell) => cell.trim().toLowerCase());
    const name = TEXT_NAMES.find((each) => head.includes(each));
    if (head.length === 1 && !name) return { texts: rows.map((row) => row[0]), from: "" };
    const lengths = head.map((_, at) => rows.slice(1, 50).reduce((sum, row) => sum + (row[at] ?? "").length, 0));
    const column = name ? head.indexOf(name) : lengths.indexOf(Math.max(...lengths));
    return { texts: rows.slice(1).map((row) => row[column] ?? ""), from: ` from the column “${rows[0][column].trim()}”` };
  };
  const parsed = (line) => {
    try {
      return JSON.parse(line);
    } catch {
      return undefined;
    }
  };
  const fromJsonLines = (text) => ({
    texts: text.split("\n").filter((line) => line.trim()).map((line, at) => {
      const value = parsed(line);
      if (value === undefined) throw new Error(`Line ${at + 1} is not JSON: give one text or object a line.`);
      const members = typeof value === "string" ? { text: value } : Object(value);
      const found = [...TEXT_NAMES.map((name) => members[name]), ...Object.values(members)].find((each) => typeof each === "string");
      if (found === undefined) throw new Error(`Line ${at + 1} has no text.`);
      return found;
    }),
    from: "",
  });
  const COMMAS = /(?:"((?:[^"]|"")*)"|([^,\n\r]*))(,|\r\n|\n|\r|$)/g;
  const TABS = /(?:"((?:[^"]|"")*)"|([^\t\n\r]*))(\t|\r\n|\n|\r|$)/g;
  const textsOf = (name, text) => {
    if (/\.(jsonl|ndjson|json)$/i.test(name)) return fromJsonLines(text);
    if (/\.csv$/i.test(name)) return fromTable(text, COMMAS);
    if (/\.tsv$/i.test(name)) return fromTable(text, TABS);
    return { texts: text.split("\n"), from: "" };
  };
  const readFile = async (input) => {
    const file = input.files[0];
    const note = document.getElementById("file-note");
    if (!file) return;
    try {
      if (file.size > 1e6) throw new Error("It is larger than 1 MB: run a batch job, or zerostart classify --input FILE.");
      const content = await file.text();
      if (content.includes("\ufffd")) throw new Error("It is not UTF-8: save it so.");
      const read = textsOf(file.name, content);
      const texts = read.texts.map((text) => text.replace(/\s+/g, " ").trim()).filter(Boolean);
      if (!texts.length) throw new Error("It has no text.");
      const most = Number(input.dataset.most);
      document.getElementById(input.dataset.texts).value = texts.slice(0, most).join("\n");
      note.textContent = texts.length > most
        ? `${file.name} has ${texts.length} texts${read.from}: the first ${most} of them are here.`
        : `${texts.length === 1 ? "1 text" : `${texts.length} texts`}${read.from} of ${file.name} ${texts.length === 1 ? "is" : "are"} here.`;
    } catch (error) {
      note.textContent = `${file.name} cannot be read. ${error.message}`;
    }
  };

  document.querySelectorAll("[data-labels]").forEach(editChips);
  document.querySelectorAll("input[data-texts]").forEach((input) => input.addEventListener("change", () => readFile(input)));
})();
