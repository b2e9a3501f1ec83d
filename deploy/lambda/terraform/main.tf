# One function behind an HTTP API. Build first:
#   cargo lambda build --release --package restis-handlers --bin app --output-format zip
terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.0" }
  }
}

variable "redis_url" {
  type        = string
  description = "UPSTASH_REDIS_REST_URL, such as https://example.upstash.io"
}

variable "redis_token" {
  type        = string
  sensitive   = true
  description = "UPSTASH_REDIS_REST_TOKEN"
}

variable "service_tokens" {
  type        = string
  sensitive   = true
  description = "RESTIS_SERVICE_TOKENS as JSON; holds digests only"
}

locals {
  package = "${path.module}/../../../target/lambda/app/bootstrap.zip"
}

resource "aws_iam_role" "functions" {
  name = "restis-functions"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Action    = "sts:AssumeRole"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "logs" {
  role       = aws_iam_role.functions.name
  policy_arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
}

resource "aws_lambda_function" "functions" {
  function_name    = "restis-functions"
  role             = aws_iam_role.functions.arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = ["x86_64"]
  filename         = local.package
  source_code_hash = filebase64sha256(local.package)
  memory_size      = 256
  timeout          = 30

  environment {
    variables = {
      UPSTASH_REDIS_REST_URL                = var.redis_url
      UPSTASH_REDIS_REST_TOKEN              = var.redis_token
      RESTIS_SERVICE_TOKENS                 = var.service_tokens
      AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH  = "true"
    }
  }
}

resource "aws_apigatewayv2_api" "http" {
  name          = "restis"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "functions" {
  api_id                 = aws_apigatewayv2_api.http.id
  integration_type       = "AWS_PROXY"
  integration_uri        = aws_lambda_function.functions.invoke_arn
  payload_format_version = "2.0"
}

resource "aws_apigatewayv2_route" "all" {
  api_id    = aws_apigatewayv2_api.http.id
  route_key = "$default"
  target    = "integrations/${aws_apigatewayv2_integration.functions.id}"
}

resource "aws_apigatewayv2_stage" "default" {
  api_id      = aws_apigatewayv2_api.http.id
  name        = "$default"
  auto_deploy = true
}

resource "aws_lambda_permission" "gateway" {
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.functions.function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.http.execution_arn}/*/*"
}

output "url" {
  value = aws_apigatewayv2_stage.default.invoke_url
}
