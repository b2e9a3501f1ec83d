export { handlers, type HandlersOptions } from "./functions.js";
export { on, problem, refusal, type Asked, type MockAnswer } from "./route.js";
