output "member" {
  description = "The function's account, as rights are bound to it."
  value       = google_service_account.function.member
}

output "name" {
  description = "Name of the function and of the service behind it."
  value       = google_cloudfunctions2_function.function.name
}

output "service_account" {
  description = "E-mail address and unique id of the function's account."
  value = {
    email     = google_service_account.function.email
    unique_id = google_service_account.function.unique_id
  }
}

output "uri" {
  description = "Address of the service behind the function. Tokens that call it name it as their audience."
  value       = google_cloudfunctions2_function.function.service_config[0].uri
}
