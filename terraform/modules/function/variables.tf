variable "build" {
  description = "What the function is built from: its zip in a bucket, the repository its image goes to, and the account (its full id) that builds."
  type = object({
    bucket          = string
    object          = string
    repository      = string
    service_account = string
  })
}

variable "concurrency" {
  description = "Requests that one instance serves at once. More than 1 needs a whole CPU."
  type        = number
}

variable "cpu" {
  description = "CPUs of an instance."
  type        = number
}

variable "entry_point" {
  description = "The function in main.py."
  type        = string
}

variable "env" {
  description = "Environment variables, by name."
  type        = map(string)
}

variable "ingress" {
  description = "Where requests may come from: ALLOW_ALL or ALLOW_INTERNAL_ONLY."
  type        = string
}

variable "instances" {
  description = "How many instances there are at least and at most."
  type = object({
    min = number
    max = number
  })
}

variable "invokers" {
  description = "Members that may call the function, under names that are known when it is planned."
  type        = map(string)
}

variable "labels" {
  description = "Labels of the function."
  type        = map(string)
}

variable "memory" {
  description = "Memory of an instance, such as 512Mi."
  type        = string
}

variable "name" {
  description = "Name of the function and of its service account: 6 to 30 characters."
  type        = string
}

variable "project_id" {
  description = "Project of the function."
  type        = string
}

variable "region" {
  description = "Region of the function."
  type        = string
}

variable "runtime" {
  description = "Runtime of Cloud Run functions, such as python311."
  type        = string
}

variable "secrets" {
  description = "Environment variables that hold a secret: the secret's name, and the version that is mounted."
  type = map(object({
    secret  = string
    version = string
  }))
}

variable "timeout" {
  description = "Seconds that a request may take."
  type        = number
}

variable "whole_image" {
  description = "Whether the image holds all of its runtime and so runs elsewhere too. It then gets security patches when the function is deployed, and not by itself."
  type        = bool
  default     = false
}
