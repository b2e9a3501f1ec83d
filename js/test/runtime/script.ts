// `probe` as a program: URL, token and organisation are its arguments.
import { probe } from "./probe.js";

const [url = "", token = "", organisation = ""] = process.argv.slice(2);
console.log(JSON.stringify(await probe(url, token, organisation)));
