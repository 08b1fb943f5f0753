// The peer SCIMMY, in memory and as its documentation shows it: no index, every filter reads all.
import { randomUUID } from "node:crypto";
import express from "express";
import SCIMMY from "scimmy";
import SCIMMYRouters from "scimmy-routers";

function keep(type) {
  const all = new Map();
  const found = (id) => {
    if (!all.has(id)) throw new SCIMMY.Types.Error(404, null, `no resource ${id}`);
    return all.get(id);
  };
  SCIMMY.Resources.declare(type)
    .ingress((resource, data) => {
      const id = resource.id ?? randomUUID();
      const now = new Date();
      const created = resource.id ? found(id).meta.created : now;
      all.set(id, { ...data, id, meta: { created, lastModified: now } });
      return all.get(id);
    })
    .egress((resource) => {
      if (resource.id) return found(resource.id);
      const values = [...all.values()];
      return resource.filter ? resource.filter.match(values) : values;
    })
    .degress((resource) => {
      found(resource.id);
      all.delete(resource.id);
    });
}

keep(SCIMMY.Resources.User);
keep(SCIMMY.Resources.Group);
const [port, token] = process.argv.slice(2);
const app = express();
const handler = (request) => {
  if (request.header("Authorization") !== `Bearer ${token}`) throw new Error("expected the token");
  return "bench";
};
app.use("/scim/v2", new SCIMMYRouters({ type: "bearer", handler }));
app.listen(Number(port), "127.0.0.1");
