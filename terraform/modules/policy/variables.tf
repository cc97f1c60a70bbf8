variable "policy_file" {
  description = "Path of a policy of brownouts. Null is common/brownout/defaults.yaml, which comes with the code."
  type        = string
  default     = null
}
