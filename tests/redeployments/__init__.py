"""QHub redeployed: real QHub 0.3.14 and 0.4.5 with a real repository, and a stand-in for Terraform alone."""
