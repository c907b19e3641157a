// Drives one page of Chromium or Firefox with puppeteer-core: a JSON command a line comes in, its answer goes out.

import {readFileSync} from "node:fs";
import {createRequire} from "node:module";
import readline from "node:readline";

import puppeteer from "puppeteer-core";

const [kind, executablePath] = process.argv.slice(2), isChrome = kind === "chrome";
const args = isChrome ? ["--no-sandbox", "--disable-gpu", "--disable-background-networking"] : [];
const browser = await puppeteer.launch({browser: kind, executablePath, headless: true, args, defaultViewport: null});
const page = await browser.newPage();

let medium = null;
let complaints = [], requests = [], answers = [];
page.on("console", (message) => { if (["error", "warn", "warning"].includes(message.type())) complaints.push(message.text()); });
page.on("pageerror", (error) => complaints.push(String(error)));
page.on("request", (request) => requests.push(request.url()));
page.on("response", (response) => answers.push(response.url()));

const DO = {
  async open({url}) {
    // A new fragment alone would not load the page anew.
    await page.goto("about:blank");
    [complaints, requests, answers] = [[], [], []];
    await page.goto(url, {waitUntil: "load"});
  },
  run: ({expression}) => page.evaluate(expression),
  press: ({key}) => page.keyboard.press(key),
  front: () => page.bringToFront(),
  media: ({type}) => { medium = type; return page.emulateMediaType(type); },
  async look({width, height, dark}) {
    if (isChrome) {
      await page.emulateMediaFeatures([{name: "prefers-color-scheme", value: dark ? "dark" : "light"}]);
      if (medium) await page.emulateMediaType(medium); // which the line above takes away
    }
    await page.setViewport({width, height, ...isChrome ? {deviceScaleFactor: 1, isMobile: width < 600} : {}});
    return page.screenshot({encoding: "base64"});
  },
  async heard() {
    await page.evaluate("1"); // what is still under way arrives before its answer
    return {complaints, requests, answers};
  },
  async axe() {
    await page.evaluate(readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8"));
    return page.evaluate("axe.run().then((found) => found.violations.map((v) => "
      + "({id: v.id, impact: v.impact, help: v.help, nodes: v.nodes.map((node) => node.html.slice(0, 200))})))");
  },
};

for await (const line of readline.createInterface({input: process.stdin})) {
  const command = JSON.parse(line);
  let answer;
  try {
    answer = {value: await DO[command.do](command) ?? null};
  } catch (error) {
    answer = {error: String(error.message ?? error)};
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await browser.close();
