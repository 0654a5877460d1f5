// One private endpoint with the DNS zone that makes the service's name resolve to it inside the network.
// After Azure-Samples/functions-quickstart-dotnet-azd infra/app/storage-PrivateEndpoint.bicep.

@description('Name of the endpoint.')
param name string

@description('Region of the endpoint.')
param location string

@description('Tags on endpoint and zone.')
param tags object

@description('Resource that is reached through it.')
param targetId string

@description('Part of that resource: blob, queue, table, redisEnterprise or sites.')
param groupId string

@description('Name of the private DNS zone, for instance privatelink.blob.core.windows.net.')
param zoneName string

@description('Subnet that the endpoint is in.')
param subnetId string

@description('Network that the zone is linked to.')
param networkId string

resource zone 'Microsoft.Network/privateDnsZones@2024-06-01' = {
  name: zoneName
  location: 'global'
  tags: tags
}

resource link 'Microsoft.Network/privateDnsZones/virtualNetworkLinks@2024-06-01' = {
  parent: zone
  name: uniqueString(networkId, zoneName)
  location: 'global'
  tags: tags
  properties: {
    registrationEnabled: false
    virtualNetwork: {
      id: networkId
    }
  }
}

resource endpoint 'Microsoft.Network/privateEndpoints@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    subnet: {
      id: subnetId
    }
    privateLinkServiceConnections: [
      {
        name: groupId
        properties: {
          privateLinkServiceId: targetId
          groupIds: [
            groupId
          ]
        }
      }
    ]
  }
}

resource registration 'Microsoft.Network/privateEndpoints/privateDnsZoneGroups@2024-05-01' = {
  parent: endpoint
  name: 'default'
  properties: {
    privateDnsZoneConfigs: [
      {
        name: groupId
        properties: {
          privateDnsZoneId: zone.id
        }
      }
    ]
  }
  dependsOn: [
    link
  ]
}
