// Shows the OpenAPI document; everything it needs comes from this server.
"use strict";

SwaggerUIBundle({
  url: "/api/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "list",
  validatorUrl: null,
});
