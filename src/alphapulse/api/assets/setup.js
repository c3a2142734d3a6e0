// Creates the first user. The code comes in the address after the #, which browsers never send.
"use strict";

const field = (id) => document.getElementById(id);
const code = new URLSearchParams(location.hash.slice(1)).get("k");

if (code) {
  // The address bar and the history forget it; the field keeps it.
  field("code").value = code;
  history.replaceState(null, "", location.pathname);
} else {
  field("code-field").hidden = false;
}

function complain(text, id) {
  field("problem").textContent = text;
  field("problem").hidden = false;
  if (id && field(id)) {
    field(id).setAttribute("aria-invalid", "true");
    field(id).focus();
  }
}

function flawOf() {
  for (const id of ["code", "username", "password", "currency"]) {
    if (!field(id).value.trim()) return ["Please fill in every field.", id];
  }
  if (field("password").value.length < 12) return ["The password has fewer than 12 characters.", "password"];
  if (field("password").value !== field("repeat").value) return ["The two passwords differ.", "repeat"];
  return null;
}

async function create() {
  const body = {};
  for (const id of ["code", "username", "password", "currency"]) body[id] = field(id).value;
  const answer = await fetch("/api/user/setup", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (answer.ok) {
    field("who").textContent = said.user.username;
    field("form").hidden = true;
    field("done").hidden = false;
    return;
  }
  const flaw = (said.errors || [])[0];
  if (said.code === "setup_code_invalid") field("code-field").hidden = false;
  complain(`${flaw ? flaw.detail : said.detail} ${said.fix}`, flaw ? flaw.pointer.slice(1) : "code");
}

field("setup").addEventListener("submit", async (event) => {
  event.preventDefault();
  field("problem").hidden = true;
  for (const input of document.querySelectorAll("input")) input.removeAttribute("aria-invalid");
  const flaw = flawOf();
  if (flaw) return complain(...flaw);
  field("submit").disabled = true;
  try {
    await create();
  } catch {
    complain("The server did not answer. Is it still running?");
  } finally {
    field("submit").disabled = false;
  }
});
