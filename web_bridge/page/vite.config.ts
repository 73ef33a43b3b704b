import { defineConfig } from "vite";

// `npm run dev` talks to a bridge on its usual port.
const bridge = "http://127.0.0.1:7140";

export default defineConfig({
  build: { target: "es2022", chunkSizeWarningLimit: 600 },
  server: { proxy: { "/ws": { target: bridge, ws: true }, "/healthz": bridge } },
});
