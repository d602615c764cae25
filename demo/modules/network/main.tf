# A module must have a file of Terraform's. The demo does without Terraform: see demo/terraform.
