// The Flex Consumption plan and the app on it: the program as a custom handler, published self-contained (the platform's image for
// custom handlers brings no .NET).
// After Azure-Samples/functions-quickstart-dotnet-azd infra/app/api.bicep; runtime name and version as in the platform's list,
// Azure/azure-powershell src/Functions/Functions.Autorest/custom/FunctionsStackFlexData/EastAsia/custom.json.

@description('Name of the app; its URL is https://NAME.azurewebsites.net.')
param name string

@description('Name of the plan.')
param planName string

@description('Region of both.')
param location string

@description('Tags on both.')
param tags object

@description('The app\'s identity.')
param identityName string

@description('Storage of host, durable entities and package.')
param storageName string

@description('Container that the package is in.')
param packageContainerName string

@description('Vault that secrets are read from.')
param vaultName string

@description('Secret that holds the Redis connection.')
param redisSecretName string

@description('Application Insights component.')
param insightsName string

@description('Subnet for outgoing calls; empty for none.')
param subnetId string

@description('True: reachable from the internet.')
param publicAccess bool

@description('The backends, as in LLM_BACKENDS.')
param backends array

@description('Keys that clients may present, each name=env:VARIABLE.')
param clientKeys array

@description('Variable to name of the secret in the vault.')
param secretSettings object

@description('Further settings of the program: variable to value.')
param settings object

@description('Which backend gets the next request.')
param strategy string

@description('Seconds between health checks; below 60 a divisor of 60, else whole minutes that divide the hour.')
param healthCheckIntervalSeconds int

@description('Seconds between mirrorings into durable entities; below 60 a divisor of 60, else whole minutes that divide the hour.')
param settleIntervalSeconds int

@description('Base URL of an OTLP collector; empty for none.')
param otlpEndpoint string

@description('Memory of an instance in MB.')
param instanceMemoryMB int

@description('Most instances.')
param maximumInstanceCount int

@description('Requests at once by instance.')
param httpConcurrency int

@description('Instances that always run for HTTP.')
param alwaysReadyHttp int

@description('Instances that always run for durable entities.')
param alwaysReadyDurable int

@description('True: spread over availability zones.')
param zoneRedundant bool

resource identity 'Microsoft.ManagedIdentity/userAssignedIdentities@2023-01-31' existing = {
  name: identityName
}

resource storage 'Microsoft.Storage/storageAccounts@2024-01-01' existing = {
  name: storageName
}

resource insights 'Microsoft.Insights/components@2020-02-02' existing = {
  name: insightsName
}

// What the program reads.
var programSettings = {
  LLM_BACKENDS: string(backends)
  LOAD_BALANCE_STRATEGY: strategy
  HEALTH_CHECK_INTERVAL: string(healthCheckIntervalSeconds)
  ROADBALANCER_API_KEYS: join(clientKeys, ',')
  ROADBALANCER_LOG_FORMAT: 'json'
  REDIS_CONNECTION: '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${redisSecretName})'
}

// What the functions' declarations read: six-field NCRONTAB.
var scheduleSettings = {
  HEALTH_CHECK_SCHEDULE: healthCheckIntervalSeconds < 60 ? '*/${healthCheckIntervalSeconds} * * * * *' : '0 */${healthCheckIntervalSeconds / 60} * * * *'
  SETTLE_SCHEDULE: settleIntervalSeconds < 60 ? '*/${settleIntervalSeconds} * * * * *' : '0 */${settleIntervalSeconds / 60} * * * *'
}

// What the Functions host reads. Flex Consumption sets FUNCTIONS_WORKER_RUNTIME and FUNCTIONS_EXTENSION_VERSION itself.
var hostSettings = {
  AzureWebJobsStorage__credential: 'managedidentity'
  AzureWebJobsStorage__clientId: identity.properties.clientId
  AzureWebJobsStorage__blobServiceUri: storage.properties.primaryEndpoints.blob
  AzureWebJobsStorage__queueServiceUri: storage.properties.primaryEndpoints.queue
  AzureWebJobsStorage__tableServiceUri: storage.properties.primaryEndpoints.table
  AzureWebJobsDisableHomepage: 'true'
  APPLICATIONINSIGHTS_CONNECTION_STRING: insights.properties.ConnectionString
  APPLICATIONINSIGHTS_AUTHENTICATION_STRING: 'ClientId=${identity.properties.clientId};Authorization=AAD'
}

var otlpSettings = empty(otlpEndpoint) ? {} : {
  OTEL_EXPORTER_OTLP_ENDPOINT: otlpEndpoint
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf'
}

var secretReferences = toObject(items(secretSettings), entry => entry.key, entry => '@Microsoft.KeyVault(VaultName=${vaultName};SecretName=${entry.value})')

var alwaysReady = concat(alwaysReadyHttp > 0 ? [
  {
    name: 'http'
    instanceCount: alwaysReadyHttp
  }
] : [], alwaysReadyDurable > 0 ? [
  {
    name: 'durable'
    instanceCount: alwaysReadyDurable
  }
] : [])

resource plan 'Microsoft.Web/serverfarms@2024-04-01' = {
  name: planName
  location: location
  tags: tags
  kind: 'functionapp'
  sku: {
    tier: 'FlexConsumption'
    name: 'FC1'
  }
  properties: {
    reserved: true
    zoneRedundant: zoneRedundant
  }
}

resource app 'Microsoft.Web/sites@2024-04-01' = {
  name: name
  location: location
  // azd finds the app that it deploys to by this tag.
  tags: union(tags, {
    'azd-service-name': 'roadbalancer'
  })
  kind: 'functionapp,linux'
  identity: {
    type: 'UserAssigned'
    userAssignedIdentities: {
      '${identity.id}': {}
    }
  }
  properties: {
    serverFarmId: plan.id
    httpsOnly: true
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    keyVaultReferenceIdentity: identity.id
    virtualNetworkSubnetId: empty(subnetId) ? null : subnetId
    siteConfig: {
      minTlsVersion: '1.2'
      scmMinTlsVersion: '1.2'
      ftpsState: 'Disabled'
      http20Enabled: true
    }
    functionAppConfig: {
      deployment: {
        storage: {
          type: 'blobContainer'
          value: '${storage.properties.primaryEndpoints.blob}${packageContainerName}'
          authentication: {
            type: 'UserAssignedIdentity'
            userAssignedIdentityResourceId: identity.id
          }
        }
      }
      runtime: {
        name: 'custom'
        version: '1.0'
      }
      scaleAndConcurrency: {
        instanceMemoryMB: instanceMemoryMB
        maximumInstanceCount: maximumInstanceCount
        alwaysReady: alwaysReady
        triggers: {
          http: {
            perInstanceConcurrency: httpConcurrency
          }
        }
      }
    }
  }
}

resource appSettings 'Microsoft.Web/sites/config@2024-04-01' = {
  parent: app
  name: 'appsettings'
  properties: union(programSettings, scheduleSettings, otlpSettings, settings, secretReferences, hostSettings)
}

// Deployments sign in with Entra; user names and passwords are off.
resource noFtp 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'ftp'
  properties: {
    allow: false
  }
}

resource noBasicScm 'Microsoft.Web/sites/basicPublishingCredentialsPolicies@2024-04-01' = {
  parent: app
  name: 'scm'
  properties: {
    allow: false
  }
}

@description('Resource id of the app.')
output id string = app.id

@description('Name of the app.')
output name string = app.name

@description('The app\'s URL without a slash at its end.')
output url string = 'https://${app.properties.defaultHostName}'
