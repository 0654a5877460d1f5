// An example for production: two zones, a warm start, a private network behind the app, alerts and a budget.
using 'main.bicep'

param environmentName = 'roadbalancer-prod'
param location = 'swedencentral'

param backends = [
  {
    name: 'azure-primary'
    url: 'https://primary.openai.azure.com/openai/v1'
    api_key: 'env:AZURE_PRIMARY_KEY'
    auth: 'api-key'
    models: { 'gpt-4o': 'gpt-4o' }
    max_connections: 200
  }
  {
    name: 'azure-secondary'
    url: 'https://secondary.openai.azure.com/openai/v1'
    api_key: 'env:AZURE_SECONDARY_KEY'
    auth: 'api-key'
    models: { 'gpt-4o': 'gpt-4o' }
    max_connections: 200
  }
  {
    name: 'openai'
    url: 'https://api.openai.com'
    api_key: 'env:OPENAI_KEY'
    models: ['gpt-4o']
    priority: 1
  }
]
param clientKeys = [
  'chat=env:CHAT_KEY'
  'batch=env:BATCH_KEY'
]
param secretSettings = {
  AZURE_PRIMARY_KEY: 'azure-primary-key'
  AZURE_SECONDARY_KEY: 'azure-secondary-key'
  OPENAI_KEY: 'openai-key'
  CHAT_KEY: 'chat-key'
  BATCH_KEY: 'batch-key'
}

param strategy = 'least_connections'
param instanceMemoryMB = 2048
param maximumInstanceCount = 100
param httpConcurrency = 200
param alwaysReadyHttp = 2
param alwaysReadyDurable = 2
param zoneRedundant = true

param redisSku = 'Balanced_B3'
param redisHighAvailability = true
param privateNetwork = true
param vaultPurgeProtection = true

param logRetentionDays = 90
param alertEmails = ['on-call@example.com']
param alertErrorPercent = 5
param monthlyBudget = 1500
