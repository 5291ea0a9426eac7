-- Google Docs and Google Sheets. Neither API has a request that needs no document: there is no health action.

-- Docs ----------------------------------------------------------------------------------------

select marketplace.register_action('google_docs', 'documents.get', 'GET', '/documents/{documentId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "suggestionsViewMode": {"enum": ["DEFAULT_FOR_CURRENT_ACCESS", "SUGGESTIONS_INLINE", "PREVIEW_SUGGESTIONS_ACCEPTED", "PREVIEW_WITHOUT_SUGGESTIONS"]},
    "includeTabsContent": {"type": "boolean"}
  }
}
$json$, p_name => 'Get a document', p_scopes => '{https://www.googleapis.com/auth/documents.readonly}');

select marketplace.register_action('google_docs', 'documents.create', 'POST', '/documents', $json$
{
  "type": "object", "additionalProperties": false, "required": ["title"],
  "properties": {"title": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Create an empty document', p_scopes => '{https://www.googleapis.com/auth/documents}');

select marketplace.register_action('google_docs', 'documents.batchUpdate', 'POST', '/documents/{documentId}:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId", "requests"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "requests": {"type": "array", "items": {"type": "object", "minProperties": 1, "maxProperties": 1}, "minItems": 1},
    "writeControl": {
      "type": "object", "additionalProperties": false,
      "properties": {"requiredRevisionId": {"type": "string"}, "targetRevisionId": {"type": "string"}}
    }
  }
}
$json$, p_name => 'Change a document', p_scopes => '{https://www.googleapis.com/auth/documents}');

select marketplace.register_action('google_docs', 'documents.insertText', 'POST', '/documents/{documentId}:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId", "text"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "text": {"type": "string", "minLength": 1},
    "index": {"type": "integer", "minimum": 1, "description": "Where, in UTF-16 units; at the end of the body when absent"}
  }
}
$json$,
p_request_transform => $jsonata$
  {"requests": [{"insertText": $merge([
    {"text": text},
    $exists(index) ? {"location": {"index": index}} : {"endOfSegmentLocation": {}}
  ])}]}
$jsonata$,
p_name => 'Insert or append text', p_scopes => '{https://www.googleapis.com/auth/documents}');

select marketplace.register_action('google_docs', 'documents.replaceAllText', 'POST', '/documents/{documentId}:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId", "replacements"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "replacements": {
      "type": "object", "minProperties": 1, "additionalProperties": {"type": "string"},
      "description": "Text to find and what to put there: {\"{{customer}}\": \"Acme\"}"
    },
    "matchCase": {"type": "boolean", "default": true}
  }
}
$json$,
p_request_transform => $jsonata$
  {"requests": [$each(replacements, function($text, $placeholder) {
    {"replaceAllText": {"containsText": {"text": $placeholder, "matchCase": matchCase}, "replaceText": $text}}
  })]}
$jsonata$,
p_is_idempotent => true, p_name => 'Fill placeholders', p_scopes => '{https://www.googleapis.com/auth/documents}');

select marketplace.register_action('google_docs', 'documents.export', 'GET', '/documents/{documentId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["documentId"],
  "properties": {
    "documentId": {"type": "string", "minLength": 1},
    "format": {"enum": ["markdown", "html", "text", "pdf", "docx", "odt", "epub"], "default": "markdown"}
  }
}
$json$, p_response_type => 'text', p_handler => 'google_docs_export', p_timeout_ms => 60000, p_name => 'Export as Markdown or another format',
p_scopes => '{https://www.googleapis.com/auth/drive.readonly}', p_description => 'Google exports documents through Drive''s API, on another host.');

-- Sheets --------------------------------------------------------------------------------------

select marketplace.register_action('google_sheets', 'spreadsheets.get', 'GET', '/spreadsheets/{spreadsheetId}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "ranges": {"type": "array", "items": {"type": "string"}, "description": "A1 notation"},
    "includeGridData": {"type": "boolean"},
    "fields": {"type": "string", "description": "Such as: sheets.properties"}
  }
}
$json$, p_name => 'Get a spreadsheet', p_scopes => '{https://www.googleapis.com/auth/spreadsheets.readonly}');

select marketplace.register_action('google_sheets', 'spreadsheets.create', 'POST', '/spreadsheets', $json$
{
  "type": "object", "additionalProperties": false, "required": ["title"],
  "properties": {
    "title": {"type": "string", "minLength": 1},
    "locale": {"type": "string"},
    "timeZone": {"type": "string", "description": "Such as Europe/Berlin"},
    "sheets": {"type": "array", "items": {"type": "string", "minLength": 1}, "description": "Titles of its sheets"}
  }
}
$json$,
p_request_transform => $jsonata$
  $merge([
    {"properties": {"title": title, "locale": locale, "timeZone": timeZone}},
    $exists(sheets) ? {"sheets": [sheets.{"properties": {"title": $}}]} : {}
  ])
$jsonata$,
p_name => 'Create a spreadsheet', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.batchUpdate', 'POST', '/spreadsheets/{spreadsheetId}:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "requests"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "requests": {"type": "array", "items": {"type": "object", "minProperties": 1, "maxProperties": 1}, "minItems": 1},
    "includeSpreadsheetInResponse": {"type": "boolean"},
    "responseRanges": {"type": "array", "items": {"type": "string"}},
    "responseIncludeGridData": {"type": "boolean"}
  }
}
$json$, p_name => 'Change a spreadsheet', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.sheets.add', 'POST', '/spreadsheets/{spreadsheetId}:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "title"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "title": {"type": "string", "minLength": 1},
    "index": {"type": "integer", "minimum": 0}
  }
}
$json$,
p_request_transform => '{"requests": [{"addSheet": {"properties": {"title": title, "index": index}}}]}',
p_response_transform => 'replies[0].addSheet.properties',
p_name => 'Add a sheet', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.sheets.copyTo', 'POST', '/spreadsheets/{spreadsheetId}/sheets/{sheetId}:copyTo', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "sheetId", "destinationSpreadsheetId"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "sheetId": {"type": "integer", "minimum": 0},
    "destinationSpreadsheetId": {"type": "string", "minLength": 1}
  }
}
$json$, p_name => 'Copy a sheet into another spreadsheet', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.get', 'GET', '/spreadsheets/{spreadsheetId}/values/{range}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "range"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "range": {"type": "string", "minLength": 1, "description": "A1 notation, such as Sheet1!A1:D5"},
    "majorDimension": {"enum": ["ROWS", "COLUMNS"]},
    "valueRenderOption": {"enum": ["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"]},
    "dateTimeRenderOption": {"enum": ["SERIAL_NUMBER", "FORMATTED_STRING"]}
  }
}
$json$, p_name => 'Read a range', p_scopes => '{https://www.googleapis.com/auth/spreadsheets.readonly}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.batchGet', 'GET', '/spreadsheets/{spreadsheetId}/values:batchGet', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "ranges"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "ranges": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
    "majorDimension": {"enum": ["ROWS", "COLUMNS"]},
    "valueRenderOption": {"enum": ["FORMATTED_VALUE", "UNFORMATTED_VALUE", "FORMULA"]},
    "dateTimeRenderOption": {"enum": ["SERIAL_NUMBER", "FORMATTED_STRING"]}
  }
}
$json$, p_name => 'Read several ranges', p_scopes => '{https://www.googleapis.com/auth/spreadsheets.readonly}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.update', 'PUT', '/spreadsheets/{spreadsheetId}/values/{range}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "range", "values"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "range": {"type": "string", "minLength": 1, "description": "A1 notation, such as Sheet1!A1:D5"},
    "values": {"type": "array", "items": {"$ref": "#/$defs/cellOrRow"}, "description": "Rows, or the cells of a single row"},
    "majorDimension": {"enum": ["ROWS", "COLUMNS"], "default": "ROWS"},
    "valueInputOption": {"enum": ["RAW", "USER_ENTERED"], "default": "USER_ENTERED", "description": "USER_ENTERED reads formulas and dates"},
    "includeValuesInResponse": {"type": "boolean"}
  },
  "$defs": {
    "cell": {"type": ["string", "number", "boolean", "null"]},
    "cellOrRow": {"anyOf": [{"$ref": "#/$defs/cell"}, {"type": "array", "items": {"$ref": "#/$defs/cell"}}]}
  }
}
$json$,
p_query_parameters => '{valueInputOption,includeValuesInResponse}',
p_request_transform => $jsonata$
  {"range": range, "majorDimension": majorDimension, "values": $type(values[0]) = "array" ? values : [[values]]}
$jsonata$,
p_name => 'Write a range', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.append', 'POST', '/spreadsheets/{spreadsheetId}/values/{range}:append', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "range", "values"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "range": {"type": "string", "minLength": 1, "description": "Where the table is looked for, such as Sheet1!A1:E1"},
    "values": {"type": "array", "items": {"$ref": "#/$defs/cellOrRow"}, "description": "Rows, or the cells of a single row"},
    "majorDimension": {"enum": ["ROWS", "COLUMNS"]},
    "valueInputOption": {"enum": ["RAW", "USER_ENTERED"], "default": "USER_ENTERED"},
    "insertDataOption": {"enum": ["OVERWRITE", "INSERT_ROWS"]},
    "includeValuesInResponse": {"type": "boolean"}
  },
  "$defs": {
    "cell": {"type": ["string", "number", "boolean", "null"]},
    "cellOrRow": {"anyOf": [{"$ref": "#/$defs/cell"}, {"type": "array", "items": {"$ref": "#/$defs/cell"}}]}
  }
}
$json$,
p_query_parameters => '{valueInputOption,insertDataOption,includeValuesInResponse}',
p_request_transform => $jsonata$
  {"majorDimension": majorDimension, "values": $type(values[0]) = "array" ? values : [[values]]}
$jsonata$,
p_name => 'Append rows', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.clear', 'POST', '/spreadsheets/{spreadsheetId}/values/{range}:clear', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "range"],
  "properties": {"spreadsheetId": {"type": "string", "minLength": 1}, "range": {"type": "string", "minLength": 1}}
}
$json$, p_is_idempotent => true, p_name => 'Clear a range', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.batchUpdate', 'POST', '/spreadsheets/{spreadsheetId}/values:batchUpdate', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "data"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "valueInputOption": {"enum": ["RAW", "USER_ENTERED"], "default": "USER_ENTERED"},
    "data": {
      "type": "array", "minItems": 1,
      "items": {
        "type": "object", "additionalProperties": false, "required": ["range", "values"],
        "properties": {
          "range": {"type": "string", "minLength": 1},
          "majorDimension": {"enum": ["ROWS", "COLUMNS"]},
          "values": {"type": "array", "items": {"type": "array", "items": {"type": ["string", "number", "boolean", "null"]}}}
        }
      }
    },
    "includeValuesInResponse": {"type": "boolean"}
  }
}
$json$, p_is_idempotent => true, p_name => 'Write several ranges', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');

select marketplace.register_action('google_sheets', 'spreadsheets.values.batchClear', 'POST', '/spreadsheets/{spreadsheetId}/values:batchClear', $json$
{
  "type": "object", "additionalProperties": false, "required": ["spreadsheetId", "ranges"],
  "properties": {
    "spreadsheetId": {"type": "string", "minLength": 1},
    "ranges": {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1}
  }
}
$json$, p_is_idempotent => true, p_name => 'Clear several ranges', p_scopes => '{https://www.googleapis.com/auth/spreadsheets}');
