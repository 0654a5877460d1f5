// Azure Managed Redis, TLS only. The program's client signs in with an access key, which goes straight into the vault and nowhere else.
// After Azure/bicep-registry-modules avm/res/cache/redis-enterprise/main.bicep and its database/main.bicep.

@description('Name of the cluster.')
param name string

@description('Region of the cluster.')
param location string

@description('Tags on the cluster.')
param tags object

@description('Size, for instance Balanced_B0.')
param skuName string

@description('True: a replica takes over when a node fails.')
param highAvailability bool

@description('True: reachable through a private endpoint only.')
param isPrivate bool

@description('Vault that the connection is written into.')
param vaultName string

resource cluster 'Microsoft.Cache/redisEnterprise@2025-07-01' = {
  name: name
  location: location
  tags: tags
  sku: {
    name: skuName
  }
  properties: {
    minimumTlsVersion: '1.2'
    highAvailability: highAvailability ? 'Enabled' : 'Disabled'
    publicNetworkAccess: isPrivate ? 'Disabled' : 'Enabled'
  }
}

resource database 'Microsoft.Cache/redisEnterprise/databases@2025-07-01' = {
  parent: cluster
  name: 'default'
  properties: {
    accessKeysAuthentication: 'Enabled'
    clientProtocol: 'Encrypted'
    // One endpoint. The keys of a pool share a hash slot, so that its scripts run on one shard under any policy.
    clusteringPolicy: 'EnterpriseCluster'
    // State must not vanish piece by piece: a full Redis refuses writes, and instances decide from memory until it has room.
    evictionPolicy: 'NoEviction'
    port: 10000
  }
}

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' existing = {
  name: vaultName
}

resource connection 'Microsoft.KeyVault/vaults/secrets@2024-11-01' = {
  parent: vault
  name: 'redis-connection'
  properties: {
    contentType: 'REDIS_CONNECTION'
    value: '${cluster.properties.hostName}:${database.properties.port},password=${database.listKeys().primaryKey},ssl=true'
  }
}

@description('Resource id of the cluster.')
output id string = cluster.id

@description('Host and port, without a key.')
output endpoint string = '${cluster.properties.hostName}:${database.properties.port}'

@description('Name of the secret that holds the connection.')
output secretName string = connection.name
