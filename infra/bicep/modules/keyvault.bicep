// The vault for the keys of backends and clients and for Redis's access key. Rights by role; access policies are off.
// After Azure/bicep-registry-modules avm/res/key-vault/vault/main.bicep.

@description('Name of the vault, 3 to 24 letters, digits and hyphens.')
param name string

@description('Region of the vault.')
param location string

@description('Tags on the vault.')
param tags object

@description('True: reachable from the internet, guarded by roles.')
param publicAccess bool

@description('True: a deleted vault cannot be purged before its 90 days are over.')
param purgeProtection bool

resource vault 'Microsoft.KeyVault/vaults@2024-11-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    tenantId: tenant().tenantId
    sku: {
      family: 'A'
      name: 'standard'
    }
    enableRbacAuthorization: true
    enableSoftDelete: true
    softDeleteRetentionInDays: 90
    // The service knows «true» and «not set»; it refuses «false».
    enablePurgeProtection: purgeProtection ? true : null
    publicNetworkAccess: publicAccess ? 'Enabled' : 'Disabled'
    networkAcls: {
      bypass: 'AzureServices'
      defaultAction: publicAccess ? 'Allow' : 'Deny'
    }
  }
}

@description('Name of the vault.')
output name string = vault.name
