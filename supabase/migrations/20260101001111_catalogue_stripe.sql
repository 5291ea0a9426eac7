-- Stripe. Actions bear the names of Stripe's own libraries. Lists and objects travel as form fields with
-- brackets; amounts are in the smallest unit of their currency; times are Unix seconds.

select marketplace.register_provider(
  'stripe',
  p_auth_type => 'bearer',
  p_auth_config => $json$
  {
    "secrets": {"api_token": {"title": "Secret or restricted key", "description": "Begins with sk_ or rk_"}},
    "alternatives": {
      "oauth2": {
        "authorize_url": "https://connect.stripe.com/oauth/authorize",
        "token_url": "https://connect.stripe.com/oauth/token",
        "scopes": ["read_write"],
        "token_auth_method": "client_secret_post",
        "pkce": "none",
        "grant_types": ["authorization_code", "refresh_token"],
        "rotates_refresh_token": false,
        "token_lifetime_seconds": null,
        "token_settings": {"stripe_user_id": "/stripe_user_id"},
        "secrets": {}
      }
    }
  }
  $json$,
  p_request_headers => '{"stripe-version": "2026-10-28.endive"}',
  p_rate_limit => '{"quota": {"limit": 100, "window_seconds": 1}}',
  p_health_action => 'balance.retrieve'
);

select marketplace.register_action('stripe', 'balance.retrieve', 'GET', '/v1/balance', $json$
{"type": "object", "additionalProperties": false, "properties": {}}
$json$, p_name => 'Get the balance');

-- Reading -------------------------------------------------------------------------------------

select marketplace.register_action('stripe', thing.slug || '.retrieve', 'GET', format('/v1/%s/{id}', thing.path), $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["id"],
  "properties": {"id": {"type": "string", "minLength": 1}, "expand": {"type": "array", "items": {"type": "string"}, "maxItems": 20}}
}
$json$, p_name => format('Get %s', thing.name))
from (
  values
  ('customers', 'customers', 'a customer'),
  ('paymentIntents', 'payment_intents', 'a payment'),
  ('invoices', 'invoices', 'an invoice'),
  ('subscriptions', 'subscriptions', 'a subscription'),
  ('checkout.sessions', 'checkout/sessions', 'a checkout session'),
  ('events', 'events', 'an event')
) as thing (slug, path, name);

select marketplace.register_action('stripe', list.slug || '.list', 'GET', '/v1/' || list.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'x-style', 'brackets',
  'properties', $json$
  {
    "created": {
      "type": "object", "additionalProperties": false, "description": "Unix seconds",
      "properties": {"gt": {"type": "integer"}, "gte": {"type": "integer"}, "lt": {"type": "integer"}, "lte": {"type": "integer"}}
    },
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "starting_after": {"type": "string", "description": "Id of the last object of the page before"},
    "ending_before": {"type": "string"},
    "expand": {"type": "array", "items": {"type": "string"}, "maxItems": 20}
  }
  $json$::jsonb || list.filters
), p_name => list.name,
p_pagination => '{"style": "cursor", "parameter": "starting_after", "next_of_last_item": "/id", "more": "/has_more", "items": "/data"}')
from (
  values
  ('customers', 'customers', 'List customers', '{"email": {"type": "string"}}'::jsonb),
  ('paymentIntents', 'payment_intents', 'List payments', '{"customer": {"type": "string"}}'),
  ('charges', 'charges', 'List charges', '{"customer": {"type": "string"}, "payment_intent": {"type": "string"}}'),
  (
    'invoices', 'invoices', 'List invoices',
    '{"customer": {"type": "string"}, "subscription": {"type": "string"}, "status": {"enum": ["draft", "open", "paid", "uncollectible", "void"]}}'
  ),
  (
    'subscriptions', 'subscriptions', 'List subscriptions', $json$
    {
      "customer": {"type": "string"}, "price": {"type": "string"},
      "status": {"enum": ["active", "all", "canceled", "ended", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid"]}
    }
    $json$
  ),
  ('products', 'products', 'List products', '{"active": {"type": "boolean"}, "ids": {"type": "array", "items": {"type": "string"}}}'),
  ('prices', 'prices', 'List prices', '{"active": {"type": "boolean"}, "product": {"type": "string"}, "currency": {"type": "string"}}'),
  ('events', 'events', 'List events', '{"type": {"type": "string"}, "types": {"type": "array", "items": {"type": "string"}, "maxItems": 20}}')
) as list (slug, path, name, filters);

select marketplace.register_action('stripe', 'customers.search', 'GET', '/v1/customers/search', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["query"],
  "properties": {
    "query": {"type": "string", "minLength": 1, "description": "Such as: email:'ada@example.com' AND metadata['plan']:'pro'"},
    "limit": {"type": "integer", "minimum": 1, "maximum": 100},
    "page": {"type": "string"},
    "expand": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_name => 'Search customers',
p_pagination => '{"style": "cursor", "parameter": "page", "next": "/next_page", "more": "/has_more", "items": "/data"}');

-- Customers and the catalogue -----------------------------------------------------------------

select marketplace.register_action('stripe', customer.slug, 'POST', customer.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'x-style', 'brackets', 'required', customer.required,
  'properties', customer.more || $json$
  {
    "email": {"type": "string", "format": "email"},
    "name": {"type": "string"},
    "phone": {"type": "string"},
    "description": {"type": "string"},
    "address": {"type": "object"},
    "shipping": {"type": "object"},
    "invoice_settings": {"type": "object"},
    "preferred_locales": {"type": "array", "items": {"type": "string"}},
    "tax_exempt": {"enum": ["none", "exempt", "reverse"]},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "expand": {"type": "array", "items": {"type": "string"}}
  }
  $json$::jsonb
), p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => customer.name)
from (
  values
  ('customers.create', '/v1/customers', 'Create a customer', '[]'::jsonb, '{"payment_method": {"type": "string"}}'::jsonb),
  ('customers.update', '/v1/customers/{id}', 'Change a customer', '["id"]', '{"id": {"type": "string", "minLength": 1}}')
) as customer (slug, path, name, required, more);

select marketplace.register_action('stripe', 'customers.del', 'DELETE', '/v1/customers/{id}', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {"id": {"type": "string", "minLength": 1}}
}
$json$, p_name => 'Delete a customer', p_description => 'Cancels the customer''s subscriptions; cannot be undone.');

select marketplace.register_action('stripe', 'products.create', 'POST', '/v1/products', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["name"],
  "properties": {
    "name": {"type": "string", "minLength": 1},
    "id": {"type": "string"},
    "active": {"type": "boolean"},
    "description": {"type": "string"},
    "images": {"type": "array", "items": {"type": "string"}, "maxItems": 8},
    "default_price_data": {"type": "object", "required": ["currency"], "properties": {"currency": {"type": "string"}, "unit_amount": {"type": "integer"}}},
    "tax_code": {"type": "string"},
    "url": {"type": "string"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Create a product');

select marketplace.register_action('stripe', 'prices.create', 'POST', '/v1/prices', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["currency"],
  "properties": {
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
    "unit_amount": {"type": "integer", "minimum": 0},
    "unit_amount_decimal": {"type": "string"},
    "product": {"type": "string", "description": "Id; or pass product_data"},
    "product_data": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    "recurring": {
      "type": "object", "required": ["interval"],
      "properties": {"interval": {"enum": ["day", "week", "month", "year"]}, "interval_count": {"type": "integer", "minimum": 1}}
    },
    "active": {"type": "boolean"},
    "nickname": {"type": "string"},
    "lookup_key": {"type": "string"},
    "tax_behavior": {"enum": ["exclusive", "inclusive", "unspecified"]},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Create a price');

-- Payments ------------------------------------------------------------------------------------

select marketplace.register_action('stripe', 'paymentIntents.create', 'POST', '/v1/payment_intents', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["amount", "currency"],
  "properties": {
    "amount": {"type": "integer", "minimum": 1},
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
    "customer": {"type": "string"},
    "payment_method": {"type": "string"},
    "automatic_payment_methods": {
      "type": "object", "required": ["enabled"],
      "properties": {"enabled": {"type": "boolean"}, "allow_redirects": {"enum": ["always", "never"]}}
    },
    "confirm": {"type": "boolean"},
    "off_session": {"type": "boolean"},
    "capture_method": {"enum": ["automatic", "automatic_async", "manual"]},
    "setup_future_usage": {"enum": ["off_session", "on_session"]},
    "description": {"type": "string"},
    "receipt_email": {"type": "string", "format": "email"},
    "return_url": {"type": "string", "format": "uri"},
    "statement_descriptor_suffix": {"type": "string", "maxLength": 22},
    "shipping": {"type": "object"},
    "application_fee_amount": {"type": "integer", "minimum": 0},
    "transfer_data": {"type": "object"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "expand": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Create a payment', p_sensitive_paths => '{/client_secret}');

select marketplace.register_action('stripe', 'paymentIntents.confirm', 'POST', '/v1/payment_intents/{id}/confirm', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "payment_method": {"type": "string"},
    "off_session": {"type": "boolean"},
    "return_url": {"type": "string", "format": "uri"},
    "receipt_email": {"type": "string", "format": "email"}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Confirm a payment', p_sensitive_paths => '{/client_secret}');

select marketplace.register_action('stripe', 'paymentIntents.capture', 'POST', '/v1/payment_intents/{id}/capture', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "amount_to_capture": {"type": "integer", "minimum": 1},
    "final_capture": {"type": "boolean"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Capture a payment');

select marketplace.register_action('stripe', 'paymentIntents.cancel', 'POST', '/v1/payment_intents/{id}/cancel', $json$
{
  "type": "object", "additionalProperties": false, "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "cancellation_reason": {"enum": ["duplicate", "fraudulent", "requested_by_customer", "abandoned"]}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Cancel a payment');

select marketplace.register_action('stripe', 'refunds.create', 'POST', '/v1/refunds', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets",
  "properties": {
    "payment_intent": {"type": "string", "description": "Payment to refund; or pass charge"},
    "charge": {"type": "string"},
    "amount": {"type": "integer", "minimum": 1, "description": "All of it when absent"},
    "reason": {"enum": ["duplicate", "fraudulent", "requested_by_customer"]},
    "refund_application_fee": {"type": "boolean"},
    "reverse_transfer": {"type": "boolean"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Refund a payment');

select marketplace.register_action('stripe', 'checkout.sessions.create', 'POST', '/v1/checkout/sessions', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["mode"],
  "properties": {
    "mode": {"enum": ["payment", "setup", "subscription"]},
    "line_items": {
      "type": "array", "maxItems": 100,
      "items": {
        "type": "object",
        "properties": {"price": {"type": "string"}, "price_data": {"type": "object"}, "quantity": {"type": "integer", "minimum": 0}}
      }
    },
    "success_url": {"type": "string", "description": "May hold {CHECKOUT_SESSION_ID}"},
    "cancel_url": {"type": "string"},
    "customer": {"type": "string"},
    "customer_email": {"type": "string", "format": "email"},
    "client_reference_id": {"type": "string", "maxLength": 200},
    "allow_promotion_codes": {"type": "boolean"},
    "automatic_tax": {"type": "object", "required": ["enabled"], "properties": {"enabled": {"type": "boolean"}}},
    "expires_at": {"type": "integer", "description": "Unix seconds"},
    "payment_intent_data": {"type": "object"},
    "subscription_data": {"type": "object"},
    "locale": {"type": "string"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Open a checkout page');

select marketplace.register_action('stripe', 'paymentLinks.create', 'POST', '/v1/payment_links', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["line_items"],
  "properties": {
    "line_items": {
      "type": "array", "minItems": 1, "maxItems": 20,
      "items": {"type": "object", "required": ["price", "quantity"], "properties": {"price": {"type": "string"}, "quantity": {"type": "integer", "minimum": 0}}}
    },
    "allow_promotion_codes": {"type": "boolean"},
    "after_completion": {"type": "object"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Create a payment link');

select marketplace.register_action('stripe', 'billingPortal.sessions.create', 'POST', '/v1/billing_portal/sessions', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["customer"],
  "properties": {
    "customer": {"type": "string", "minLength": 1}, "return_url": {"type": "string", "format": "uri"}, "configuration": {"type": "string"},
    "locale": {"type": "string"}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Open the customer portal', p_sensitive_paths => '{/url}');

-- Invoices and subscriptions ------------------------------------------------------------------

select marketplace.register_action('stripe', 'invoices.create', 'POST', '/v1/invoices', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["customer"],
  "properties": {
    "customer": {"type": "string", "minLength": 1},
    "auto_advance": {"type": "boolean"},
    "collection_method": {"enum": ["charge_automatically", "send_invoice"]},
    "days_until_due": {"type": "integer", "minimum": 0},
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
    "description": {"type": "string"},
    "footer": {"type": "string"},
    "pending_invoice_items_behavior": {"enum": ["exclude", "include"]},
    "subscription": {"type": "string"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Draft an invoice');

select marketplace.register_action('stripe', 'invoiceItems.create', 'POST', '/v1/invoiceitems', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["customer"],
  "properties": {
    "customer": {"type": "string", "minLength": 1},
    "invoice": {"type": "string", "description": "Draft to add to; the next one when absent"},
    "amount": {"type": "integer", "description": "Or pass pricing and quantity"},
    "currency": {"type": "string", "pattern": "^[a-z]{3}$"},
    "pricing": {"type": "object", "additionalProperties": false, "properties": {"price": {"type": "string"}}},
    "quantity": {"type": "integer", "minimum": 0},
    "description": {"type": "string"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Add an invoice item');

select marketplace.register_action('stripe', step.slug, 'POST', step.path, jsonb_build_object(
  'type', 'object', 'additionalProperties', false, 'x-style', 'brackets', 'required', '["id"]'::jsonb,
  'properties', '{"id": {"type": "string", "minLength": 1}}'::jsonb || step.more
), p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => step.name)
from (
  values
  ('invoices.finalizeInvoice', '/v1/invoices/{id}/finalize', 'Finalise an invoice', '{"auto_advance": {"type": "boolean"}}'::jsonb),
  ('invoices.sendInvoice', '/v1/invoices/{id}/send', 'Send an invoice', '{}'),
  ('invoices.voidInvoice', '/v1/invoices/{id}/void', 'Void an invoice', '{}')
) as step (slug, path, name, more);

select marketplace.register_action('stripe', 'subscriptions.create', 'POST', '/v1/subscriptions', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["customer", "items"],
  "properties": {
    "customer": {"type": "string", "minLength": 1},
    "items": {
      "type": "array", "minItems": 1, "maxItems": 20,
      "items": {"type": "object", "properties": {"price": {"type": "string"}, "price_data": {"type": "object"}, "quantity": {"type": "integer", "minimum": 0}}}
    },
    "collection_method": {"enum": ["charge_automatically", "send_invoice"]},
    "days_until_due": {"type": "integer", "minimum": 0},
    "default_payment_method": {"type": "string"},
    "payment_behavior": {"enum": ["allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"]},
    "trial_period_days": {"type": "integer", "minimum": 0},
    "cancel_at_period_end": {"type": "boolean"},
    "discounts": {"type": "array", "items": {"type": "object"}},
    "automatic_tax": {"type": "object", "required": ["enabled"], "properties": {"enabled": {"type": "boolean"}}},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}},
    "expand": {"type": "array", "items": {"type": "string"}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Create a subscription');

select marketplace.register_action('stripe', 'subscriptions.update', 'POST', '/v1/subscriptions/{id}', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "items": {
      "type": "array", "maxItems": 20,
      "items": {
        "type": "object",
        "properties": {"id": {"type": "string"}, "price": {"type": "string"}, "quantity": {"type": "integer", "minimum": 0}, "deleted": {"type": "boolean"}}
      }
    },
    "cancel_at_period_end": {"type": "boolean"},
    "proration_behavior": {"enum": ["always_invoice", "create_prorations", "none"]},
    "default_payment_method": {"type": "string"},
    "trial_end": {"type": ["integer", "string"], "description": "Unix seconds, or now"},
    "metadata": {"type": "object", "additionalProperties": {"type": ["string", "null"]}}
  }
}
$json$, p_body_type => 'form', p_idempotency_header => 'Idempotency-Key', p_name => 'Change a subscription');

select marketplace.register_action('stripe', 'subscriptions.cancel', 'DELETE', '/v1/subscriptions/{id}', $json$
{
  "type": "object", "additionalProperties": false, "x-style": "brackets", "required": ["id"],
  "properties": {
    "id": {"type": "string", "minLength": 1},
    "invoice_now": {"type": "boolean"},
    "prorate": {"type": "boolean"},
    "cancellation_details": {"type": "object", "properties": {"comment": {"type": "string"}, "feedback": {"type": "string"}}}
  }
}
$json$, p_name => 'Cancel a subscription at once');
