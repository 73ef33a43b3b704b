import { render } from "preact";
import { App } from "./app";
import { start } from "./desk";
import "./style.css";

start();
render(<App />, document.getElementById("app")!);
