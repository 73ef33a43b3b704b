import { ChartPanel } from "./chart";
import { Depth } from "./depth";
import { Header } from "./header";
import { Orders } from "./orders";
import { Positions } from "./positions";
import { Ticket } from "./ticket";
import { Watchlist } from "./watchlist";

export function App() {
  return (
    <div class="desk">
      <Header />
      <Watchlist />
      <ChartPanel />
      <div class="side">
        <Depth />
        <Ticket />
      </div>
      <div class="lower">
        <Orders />
        <Positions />
      </div>
    </div>
  );
}
