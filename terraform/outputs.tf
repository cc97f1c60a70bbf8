output "api_url" {
  description = "Address of the API."
  value       = module.function["api"].uri
}

output "database" {
  description = "The Firestore database of the documents."
  value       = google_firestore_database.state.name
}

output "dataset" {
  description = "The BigQuery dataset of the warehouse."
  value       = google_bigquery_dataset.warehouse.dataset_id
}

output "function_urls" {
  description = "Address of each function."
  value       = merge({ for key, function in module.function : key => function.uri }, { for key, service in google_cloud_run_v2_service.behind_iap : key => service.uri })
}

output "next_steps" {
  description = "What is left to do, as commands."
  value       = <<-EOT
    export CLOUDOPS_URL=${module.function["api"].uri}
    export CLOUDOPS_TOKEN=$(gcloud auth print-identity-token) # of one of console_admins who stands in private_callers
    scripts/cloudops doctor --proxy ${module.function["proxy"].uri} --bus pubsub://${var.project_id}/${var.prefix}
    scripts/cloudops orgs create my-org
    scripts/cloudops teams create my-team --org my-org
    scripts/cloudops agents create my-agent --org my-org --team my-team
    scripts/cloudops keys create my-key --org my-org --agent my-agent

    Then give the SDKs the new key and one of these base URLs:
      OpenAI      ${module.function["proxy"].uri}/openai/v1
      Anthropic   ${module.function["proxy"].uri}/anthropic
      Gemini      ${module.function["proxy"].uri}/gemini
  EOT
}

output "proxy_url" {
  description = "Address of the proxy: what SDKs are given as their base URL begins with it."
  value       = module.function["proxy"].uri
}

output "service_accounts" {
  description = "E-mail address and unique id of each function's account."
  value       = { for key, function in merge(module.function, module.image) : key => function.service_account }
}

output "topics" {
  description = "The Pub/Sub topics, by what they carry."
  value       = { for key, topic in google_pubsub_topic.topic : key => topic.name }
}
