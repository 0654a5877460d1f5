// One stamp of Roadbalancer in one region: a resource group with the app, the Redis that its instances share, and what both need.
// The outline (subscription scope, one group, azd's tags) follows Azure-Samples/azure-functions-flex-consumption-samples IaC/bicep/main.bicep.
targetScope = 'subscription'

@description('Name of the environment, lower-case letters, digits and hyphens; part of the resource group\'s name and of the seed of every other name.')
@minLength(1)
@maxLength(40)
param environmentName string

@description('Region of everything; one that offers the Flex Consumption plan (az functionapp list-flexconsumption-locations).')
param location string

@description('Object id of who deploys; gets the right to write secrets into the vault. Empty: nobody does, and secrets are written by others.')
param principalId string = ''

@description('What principalId is.')
@allowed(['User', 'Group', 'ServicePrincipal'])
param principalType string = 'User'

@description('The backends, as in LLM_BACKENDS. Keys do not belong here: write api_key: env:NAME and name the variable in secretSettings.')
@minLength(1)
param backends array

@description('Keys that clients may present, each name=env:VARIABLE with the variable named in secretSettings. The app is reachable from the internet, so at least one.')
@minLength(1)
param clientKeys array

@description('Variables whose values are secrets: name of the variable to name of the secret in the vault, for instance { OPENAI_KEY: \'openai-key\' }.')
param secretSettings object = {}

@description('Further settings of the program: name of the variable to value, for instance { ROADBALANCER_COOLDOWN: \'10\' }. They win over the ones set by other parameters.')
param settings object = {}

@description('Which backend gets the next request.')
@allowed(['round_robin', 'weighted_round_robin', 'least_connections', 'random', 'consistent_hash', 'response_time'])
param strategy string = 'least_connections'

@description('Seconds between health checks of each backend. The timer\'s schedule follows from it, hence the fixed choice.')
@allowed([10, 15, 20, 30, 60, 120, 300, 600])
param healthCheckIntervalSeconds int = 30

@description('Seconds between mirrorings of statistics and run-time changes into durable entities; each costs storage transactions by backend.')
@allowed([10, 15, 20, 30, 60, 120, 300, 600])
param settleIntervalSeconds int = 30

@description('Memory of an instance in MB; processor and bandwidth grow with it.')
@allowed([512, 2048, 4096])
param instanceMemoryMB int = 2048

@description('Most instances that the platform may start, 40 to 1000.')
@minValue(40)
@maxValue(1000)
param maximumInstanceCount int = 100

@description('Requests at once by instance, 1 to 1000. An open stream is a request, so the platform\'s own choice (16 for 2048 MB) would start an instance for every 16 streams.')
@minValue(1)
@maxValue(1000)
param httpConcurrency int = 200

@description('Instances that always run for HTTP: no cold start for the first requests. 0 scales to zero; at least 2 with zoneRedundant.')
@minValue(0)
@maxValue(100)
param alwaysReadyHttp int = 0

@description('Instances that always run for the durable entities. 0 scales to zero; at least 2 with zoneRedundant, if any.')
@minValue(0)
@maxValue(20)
param alwaysReadyDurable int = 0

@description('Spread instances over availability zones and keep storage zone-redundant; the region must have zones.')
param zoneRedundant bool = false

@description('Size of Azure Managed Redis. Balanced_B0 is the smallest; a pool lives on one shard, so a larger size brings processors for TLS, not more shards to a pool.')
param redisSku string = 'Balanced_B0'

@description('A replica of Redis, and with it the service level agreement. Cannot be switched off again.')
param redisHighAvailability bool = true

@description('Put storage and Redis behind private endpoints in a virtual network, and route the app\'s calls to them through it.')
param privateNetwork bool = false

@description('Address space of the virtual network, used with privateNetwork; a /24 or larger.')
param networkPrefix string = '10.20.0.0/24'

@description('Make the app itself reachable only through a private endpoint in that network, used with privateNetwork. Deployment then needs a way in, too.')
param privateApp bool = false

@description('Let the vault be reached from the internet, guarded by roles. Needed for Key Vault references: Flex Consumption cannot resolve them against a restricted vault.')
param vaultPublicAccess bool = true

@description('Forbid the vault\'s purge for 90 days after deletion. Cannot be switched off again.')
param vaultPurgeProtection bool = false

@description('Days that logs and telemetry are kept, 30 to 730.')
@minValue(30)
@maxValue(730)
param logRetentionDays int = 30

@description('Most GB of logs a day, after which ingestion stops until the next; -1 for no limit.')
param logDailyCapGb int = -1

@description('Where the program sends metrics and traces by OTLP over HTTP, a collector\'s base URL. Empty: it sends none.')
param otlpEndpoint string = ''

@description('Who gets the alerts by e-mail. Empty: no alert is deployed.')
param alertEmails array = []

@description('Share of requests answered with 5xx that raises an alert, in percent, 1 to 100.')
@minValue(1)
@maxValue(100)
param alertErrorPercent int = 5

@description('Monthly budget of the resource group in the subscription\'s currency; alertEmails are told at 80 and 100 percent. 0: none.')
@minValue(0)
param monthlyBudget int = 0

@description('First of a month, from which the budget counts; leave it at the default, the present month.')
param budgetStart string = utcNow('yyyy-MM-01')

var token = toLower(uniqueString(subscription().id, environmentName, location))
var tags = {
  'azd-env-name': environmentName
  application: 'roadbalancer'
}

resource group 'Microsoft.Resources/resourceGroups@2024-11-01' = {
  name: 'rg-${environmentName}'
  location: location
  tags: tags
}

module identity 'modules/identity.bicep' = {
  name: 'identity'
  scope: group
  params: {
    name: 'id-roadbalancer-${token}'
    location: location
    tags: tags
  }
}

module monitoring 'modules/monitoring.bicep' = {
  name: 'monitoring'
  scope: group
  params: {
    workspaceName: 'log-${token}'
    insightsName: 'appi-${token}'
    location: location
    tags: tags
    retentionDays: logRetentionDays
    dailyCapGb: logDailyCapGb
  }
}

module network 'modules/network.bicep' = if (privateNetwork) {
  name: 'network'
  scope: group
  params: {
    name: 'vnet-${token}'
    location: location
    tags: tags
    addressPrefix: networkPrefix
  }
}

module storage 'modules/storage.bicep' = {
  name: 'storage'
  scope: group
  params: {
    name: 'st${token}'
    location: location
    tags: tags
    isPrivate: privateNetwork
    zoneRedundant: zoneRedundant
  }
}

module vault 'modules/keyvault.bicep' = {
  name: 'vault'
  scope: group
  params: {
    name: 'kv-${token}'
    location: location
    tags: tags
    publicAccess: vaultPublicAccess
    purgeProtection: vaultPurgeProtection
  }
}

module redis 'modules/redis.bicep' = {
  name: 'redis'
  scope: group
  params: {
    name: 'redis-${token}'
    location: location
    tags: tags
    skuName: redisSku
    highAvailability: redisHighAvailability
    isPrivate: privateNetwork
    vaultName: vault.outputs.name
  }
}

module roles 'modules/roles.bicep' = {
  name: 'roles'
  scope: group
  params: {
    appPrincipalId: identity.outputs.principalId
    deployerPrincipalId: principalId
    deployerPrincipalType: principalType
    storageName: storage.outputs.name
    vaultName: vault.outputs.name
    insightsName: monitoring.outputs.insightsName
  }
}

var privateTargets = [
  {
    name: 'blob'
    targetId: storage.outputs.id
    groupId: 'blob'
    zone: 'privatelink.blob.${environment().suffixes.storage}'
  }
  {
    name: 'queue'
    targetId: storage.outputs.id
    groupId: 'queue'
    zone: 'privatelink.queue.${environment().suffixes.storage}'
  }
  {
    name: 'table'
    targetId: storage.outputs.id
    groupId: 'table'
    zone: 'privatelink.table.${environment().suffixes.storage}'
  }
  {
    name: 'redis'
    targetId: redis.outputs.id
    groupId: 'redisEnterprise'
    zone: 'privatelink.redis.azure.net'
  }
]

// The endpoint names are literals, so that the number of endpoints is known before anything is deployed.
module endpoints 'modules/private-endpoint.bicep' = [for (endpoint, index) in ['blob', 'queue', 'table', 'redis']: if (privateNetwork) {
  name: 'endpoint-${endpoint}'
  scope: group
  params: {
    name: 'pe-${endpoint}-${token}'
    location: location
    tags: tags
    targetId: privateTargets[index].targetId
    groupId: privateTargets[index].groupId
    zoneName: privateTargets[index].zone
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
    networkId: privateNetwork ? network.outputs.id : ''
  }
}]

module app 'modules/functionapp.bicep' = {
  name: 'app'
  scope: group
  params: {
    name: 'func-roadbalancer-${token}'
    planName: 'plan-${token}'
    location: location
    tags: tags
    identityName: identity.outputs.name
    storageName: storage.outputs.name
    packageContainerName: storage.outputs.packageContainerName
    vaultName: vault.outputs.name
    redisSecretName: redis.outputs.secretName
    insightsName: monitoring.outputs.insightsName
    subnetId: privateNetwork ? network.outputs.appSubnetId : ''
    publicAccess: !(privateNetwork && privateApp)
    backends: backends
    clientKeys: clientKeys
    secretSettings: secretSettings
    settings: settings
    strategy: strategy
    healthCheckIntervalSeconds: healthCheckIntervalSeconds
    settleIntervalSeconds: settleIntervalSeconds
    otlpEndpoint: otlpEndpoint
    instanceMemoryMB: instanceMemoryMB
    maximumInstanceCount: maximumInstanceCount
    httpConcurrency: httpConcurrency
    alwaysReadyHttp: alwaysReadyHttp
    alwaysReadyDurable: alwaysReadyDurable
    zoneRedundant: zoneRedundant
  }
  // The app reads its package, its secrets and its Redis when it starts; each needs the way and the right to be there.
  dependsOn: [
    roles
    endpoints
  ]
}

module appEndpoint 'modules/private-endpoint.bicep' = if (privateNetwork && privateApp) {
  name: 'endpoint-app'
  scope: group
  params: {
    name: 'pe-app-${token}'
    location: location
    tags: tags
    targetId: app.outputs.id
    groupId: 'sites'
    zoneName: 'privatelink.azurewebsites.net'
    subnetId: privateNetwork ? network.outputs.endpointSubnetId : ''
    networkId: privateNetwork ? network.outputs.id : ''
  }
}

module alerts 'modules/alerts.bicep' = if (!empty(alertEmails)) {
  name: 'alerts'
  scope: group
  params: {
    namePrefix: 'roadbalancer-${environmentName}'
    location: location
    tags: tags
    workspaceId: monitoring.outputs.workspaceId
    emails: alertEmails
    errorPercent: alertErrorPercent
  }
}

module budget 'modules/budget.bicep' = if (monthlyBudget > 0 && !empty(alertEmails)) {
  name: 'budget'
  scope: group
  params: {
    name: 'roadbalancer-${environmentName}'
    amount: monthlyBudget
    startDate: budgetStart
    emails: alertEmails
  }
}

@description('The base URL for OpenAI clients.')
output ROADBALANCER_BASE_URL string = '${app.outputs.url}/v1'

@description('The app\'s own URL: /health, /dashboard and the management API are below it.')
output ROADBALANCER_URL string = app.outputs.url

@description('The function app, for logs, restarts and deployments by hand.')
output AZURE_FUNCTION_APP_NAME string = app.outputs.name

@description('The resource group that everything is in.')
output AZURE_RESOURCE_GROUP string = group.name

@description('The vault that the secrets named in secretSettings are read from.')
output AZURE_KEY_VAULT_NAME string = vault.outputs.name

@description('Host and port of Redis, without a key.')
output REDIS_ENDPOINT string = redis.outputs.endpoint

@description('The workspace to query logs in.')
output LOG_ANALYTICS_WORKSPACE_ID string = monitoring.outputs.workspaceId
