// An example for trying things out: the smallest sizes, nothing that runs while nobody calls but Redis.
using 'main.bicep'

param environmentName = 'roadbalancer-dev'
param location = 'swedencentral'

param backends = [
  {
    name: 'openai'
    url: 'https://api.openai.com'
    api_key: 'env:OPENAI_KEY'
    models: ['gpt-4o', 'gpt-4o-mini']
  }
]
param clientKeys = ['dev=env:DEV_KEY']
param secretSettings = {
  OPENAI_KEY: 'openai-key'
  DEV_KEY: 'dev-key'
}
param settings = {
  ROADBALANCER_DEBUG_KEYS: 'dev'
  ROADBALANCER_LOG_LEVEL: 'debug'
}

param instanceMemoryMB = 512
param maximumInstanceCount = 40
param redisSku = 'Balanced_B0'
param redisHighAvailability = false
param settleIntervalSeconds = 300
param logDailyCapGb = 1
