/** A field of a model. */
export interface OdooField {
  type:
    | "binary"
    | "boolean"
    | "char"
    | "date"
    | "datetime"
    | "float"
    | "html"
    | "integer"
    | "many2many"
    | "many2one"
    | "selection"
    | "text";
  string: string;
  required?: boolean;
  /** The model that a relation leads to. */
  relation?: string;
}

/** A model: what it is called, and its fields. */
export interface OdooModel {
  name: string;
  fields: Readonly<Record<string, OdooField>>;
  /** What a new record has when nothing is said. */
  defaults: Readonly<Record<string, unknown>>;
}

const char = (string: string): OdooField => ({ type: "char", string });
const many2one = (string: string, relation: string): OdooField => ({
  type: "many2one",
  string,
  relation,
});
const many2many = (string: string, relation: string): OdooField => ({
  type: "many2many",
  string,
  relation,
});
const NAME: OdooField = { type: "char", string: "Name", required: true };
const ACTIVE: OdooField = { type: "boolean", string: "Active" };

/** Fields that every model has. */
const MAGIC = {
  id: { type: "integer", string: "ID" },
  display_name: char("Display Name"),
  create_uid: many2one("Created by", "res.users"),
  create_date: { type: "datetime", string: "Created on" },
  write_uid: many2one("Last Updated by", "res.users"),
  write_date: { type: "datetime", string: "Last Updated on" },
} as const satisfies Record<string, OdooField>;

function model(
  name: string,
  fields: Record<string, OdooField>,
  defaults: Record<string, unknown> = {},
): OdooModel {
  return { name, fields: { ...MAGIC, ...fields }, defaults };
}

/** The models that the sandbox's Odoo has: those that people's tasks are made of. */
export const MODELS: Readonly<Record<string, OdooModel>> = {
  "res.partner": model("Contact", {
    name: NAME,
    active: ACTIVE,
    email: char("Email"),
    phone: char("Phone"),
    is_company: { type: "boolean", string: "Is a Company" },
    parent_id: many2one("Related Company", "res.partner"),
    street: char("Street"),
    city: char("City"),
    zip: char("Zip"),
    comment: { type: "html", string: "Notes" },
  }, { active: true, is_company: false }),
  "res.users": model("User", {
    name: NAME,
    login: { type: "char", string: "Login", required: true },
    active: ACTIVE,
    partner_id: many2one("Related Partner", "res.partner"),
    email: char("Email"),
  }, { active: true }),
  "project.project": model("Project", {
    name: NAME,
    active: ACTIVE,
    partner_id: many2one("Customer", "res.partner"),
    user_id: many2one("Project Manager", "res.users"),
  }, { active: true }),
  "project.task.type": model("Task Stage", {
    name: NAME,
    sequence: { type: "integer", string: "Sequence" },
  }, { sequence: 1 }),
  "project.tags": model("Project Tags", {
    name: NAME,
    color: { type: "integer", string: "Color" },
  }, { color: 0 }),
  "project.task": model("Task", {
    name: { type: "char", string: "Title", required: true },
    description: { type: "html", string: "Description" },
    active: ACTIVE,
    project_id: many2one("Project", "project.project"),
    stage_id: many2one("Stage", "project.task.type"),
    parent_id: many2one("Parent Task", "project.task"),
    partner_id: many2one("Customer", "res.partner"),
    user_ids: many2many("Assignees", "res.users"),
    tag_ids: many2many("Tags", "project.tags"),
    priority: { type: "selection", string: "Priority" },
    state: { type: "selection", string: "State" },
    date_deadline: { type: "datetime", string: "Deadline" },
    email_cc: char("Email cc"),
    email_from: char("Email From"),
  }, { active: true, priority: "0", state: "01_in_progress" }),
  "crm.lead": model("Lead", {
    name: { type: "char", string: "Opportunity", required: true },
    active: ACTIVE,
    type: { type: "selection", string: "Type" },
    partner_id: many2one("Customer", "res.partner"),
    email_from: char("Email"),
    contact_name: char("Contact Name"),
    description: { type: "html", string: "Notes" },
  }, { active: true, type: "lead" }),
  "ir.attachment": model("Attachment", {
    name: NAME,
    res_model: char("Resource Model"),
    res_id: { type: "integer", string: "Resource ID" },
    type: { type: "selection", string: "Type" },
    url: char("Url"),
    datas: { type: "binary", string: "File Content (base64)" },
    mimetype: char("Mime Type"),
  }, { type: "binary" }),
  "mail.message": model("Message", {
    body: { type: "html", string: "Contents" },
    subject: char("Subject"),
    message_type: { type: "selection", string: "Type" },
    model: char("Related Document Model"),
    res_id: { type: "integer", string: "Related Document ID" },
    attachment_ids: many2many("Attachments", "ir.attachment"),
  }, { message_type: "comment" }),
};
