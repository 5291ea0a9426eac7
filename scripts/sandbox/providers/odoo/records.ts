import type { Clock } from "../../core/clock.ts";
import { MODELS, type OdooField, type OdooModel } from "./models.ts";
import { OdooError } from "./errors.ts";

/** A record as it is stored: relations are ids, what is empty is `false`. */
export type OdooRecord = Record<string, unknown> & { id: number };

/**
 * The records of all models and the rules by which they come, change and are found.
 *
 * @see https://www.odoo.com/documentation/18.0/developer/reference/backend/orm.html
 */
export class OdooRecords {
  #tables = new Map<string, Map<number, OdooRecord>>();
  #nextIds = new Map<string, number>();

  constructor(readonly clock: Clock) {
    this.#fill();
  }

  /** @throws OdooError when there is no such model */
  model(name: string): OdooModel {
    const model = Object.hasOwn(MODELS, name) ? MODELS[name] : undefined;
    if (model) return model;
    throw new OdooError("odoo.exceptions.UserError", `Object ${name} doesn't exist`);
  }

  /** Every record of a model, oldest first. @throws OdooError */
  all(modelName: string): OdooRecord[] {
    this.model(modelName);
    return [...this.#table(modelName).values()];
  }

  /** @throws OdooError `MissingError` when one of them does not exist */
  browse(modelName: string, ids: readonly number[], uid: number): OdooRecord[] {
    this.model(modelName);
    return ids.map((id) => {
      const record = this.#table(modelName).get(id);
      if (record) return record;
      throw new OdooError(
        "odoo.exceptions.MissingError",
        `Record does not exist or has been deleted.\n(Record: ${modelName}(${id},), User: ${uid})`,
      );
    });
  }

  /** @throws OdooError */
  create(modelName: string, values: Record<string, unknown>, uid: number): number {
    const model = this.model(modelName);
    const id = this.#nextIds.get(modelName) ?? 1;
    const now = this.#now();
    const record: OdooRecord = { id };
    for (const [name, field] of Object.entries(model.fields)) {
      record[name] ??= field.type === "many2many" ? [] : model.defaults[name] ?? false;
    }
    this.#assign(modelName, record, values);
    Object.assign(record, { create_uid: uid, create_date: now, write_uid: uid, write_date: now });
    this.#nextIds.set(modelName, id + 1);
    this.#table(modelName).set(id, record);
    return id;
  }

  /** Changes all of them or none. @throws OdooError */
  write(
    modelName: string,
    ids: readonly number[],
    values: Record<string, unknown>,
    uid: number,
  ): void {
    const changed = this.browse(modelName, ids, uid).map((record) => {
      const copy = { ...record };
      this.#assign(modelName, copy, values);
      return Object.assign(copy, { write_uid: uid, write_date: this.#now() });
    });
    for (const record of changed) this.#table(modelName).set(record.id, record);
  }

  /** @throws OdooError */
  unlink(modelName: string, ids: readonly number[], uid: number): void {
    for (const { id } of this.browse(modelName, ids, uid)) this.#table(modelName).delete(id);
  }

  /** A record as `read` answers it: a relation to one is its id and name. @throws OdooError */
  show(modelName: string, record: OdooRecord, fields: readonly string[]): OdooRecord {
    const model = this.model(modelName);
    const names = fields.length > 0 ? fields : Object.keys(model.fields);
    const shown: OdooRecord = { id: record.id };
    for (const name of names) {
      const field = this.field(modelName, name);
      const value = record[name];
      shown[name] = name === "display_name"
        ? this.nameOf(record)
        : field.type === "many2one" && typeof value === "number"
        ? [value, this.nameOf(this.#table(field.relation!).get(value))]
        : value;
    }
    return shown;
  }

  /** @throws OdooError `ValueError` */
  field(modelName: string, name: string): OdooField {
    const { fields } = this.model(modelName);
    if (Object.hasOwn(fields, name)) return fields[name]!;
    throw new OdooError("builtins.ValueError", `Invalid field '${name}' on model '${modelName}'`);
  }

  nameOf(record: OdooRecord | undefined): string {
    return String(record?.name ?? record?.subject ?? "");
  }

  clear(): void {
    this.#tables.clear();
    this.#nextIds.clear();
    this.#fill();
  }

  #table(modelName: string): Map<number, OdooRecord> {
    const table = this.#tables.get(modelName) ?? new Map<number, OdooRecord>();
    this.#tables.set(modelName, table);
    return table;
  }

  #assign(modelName: string, record: OdooRecord, values: Record<string, unknown>): void {
    const { name, fields } = this.model(modelName);
    for (const [key, value] of Object.entries(values)) {
      const field = this.field(modelName, key);
      record[key] = this.#convert(field, value, record[key]);
    }
    for (const [key, field] of Object.entries(fields)) {
      if (!field.required || record[key] !== false && record[key] !== "") continue;
      throw new OdooError(
        "odoo.exceptions.ValidationError",
        `The operation cannot be completed:\n- Create/update: a mandatory field is not set.\n- Delete: another model requires the record being deleted. If possible, archive it instead.\n\nModel: ${name} (${modelName})\nField: ${field.string} (${key})\n`,
      );
    }
  }

  #convert(field: OdooField, value: unknown, before: unknown): unknown {
    if (field.type === "many2many") return this.#applyCommands(field, value, before as number[]);
    if (value === null || value === undefined || value === false) return false;
    if (field.type === "many2one") return this.#reference(field, value);
    if (field.type === "integer" || field.type === "float") {
      const number = Number(value);
      if (!Number.isNaN(number)) return number;
      const type = field.type === "float" ? "could not convert string to float" : "invalid literal";
      throw new OdooError("builtins.ValueError", `${type}: '${value}'`);
    }
    if (field.type === "date" || field.type === "datetime") {
      if (typeof value === "string" && /^\d{4}-\d\d-\d\d( \d\d:\d\d:\d\d)?$/.test(value)) {
        return value;
      }
      const format = "%Y-%m-%d %H:%M:%S";
      const message = `time data '${value}' does not match format '${format}'`;
      throw new OdooError("builtins.ValueError", message);
    }
    return field.type === "boolean" ? Boolean(value) : String(value);
  }

  #reference(field: OdooField, value: unknown): number {
    if (typeof value === "number" && this.#table(field.relation!).has(value)) return value;
    throw new OdooError(
      "odoo.exceptions.ValidationError",
      `The operation cannot be completed: another model requires the record being deleted. If possible, archive it instead.\n\nModel: ${
        this.model(field.relation!).name
      } (${field.relation}), record: ${value}\n`,
    );
  }

  /** @see https://www.odoo.com/documentation/18.0/developer/reference/backend/orm.html#odoo.fields.Command */
  #applyCommands(field: OdooField, value: unknown, before: readonly number[]): number[] {
    const unknown = new OdooError(
      "builtins.ValueError",
      `Wrong value for ${field.string}: ${value}`,
    );
    if (value === false) return [];
    if (!Array.isArray(value)) throw unknown;
    let ids = [...before];
    for (const command of value) {
      const [code, id, list] = Array.isArray(command) ? command : [4, command];
      if (code === 3) ids = ids.filter((each) => each !== id);
      else if (code === 4) ids = [...new Set([...ids, this.#reference(field, id)])];
      else if (code === 5) ids = [];
      else if (code === 6 && Array.isArray(list)) {
        ids = list.map((each) => this.#reference(field, each));
      } else throw unknown;
    }
    return ids;
  }

  #now(): string {
    return new Date(this.clock.now()).toISOString().slice(0, 19).replace("T", " ");
  }

  /** The least that an Odoo has: its user, who is a contact, a project, and the stages of tasks. */
  #fill(): void {
    this.#nextIds.set("res.users", UID);
    this.create("res.partner", { name: "Sandbox", is_company: true }, UID);
    const partner = this.create("res.partner", { name: "Mitchell Admin", parent_id: 1 }, UID);
    const user = { name: "Mitchell Admin", login: "sandbox@example.com", partner_id: partner };
    this.create("res.users", user, UID);
    this.create("project.project", { name: "Sandbox", user_id: UID }, UID);
    for (const [sequence, name] of ["New", "In Progress", "Done"].entries()) {
      this.create("project.task.type", { name, sequence }, UID);
    }
  }
}

/** The id of the only user. */
export const UID = 2;
