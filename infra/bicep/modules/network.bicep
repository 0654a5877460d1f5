// A virtual network with one subnet for the app's outgoing calls and one for private endpoints.
// After Azure-Samples/functions-quickstart-dotnet-azd infra/app/vnet.bicep.

@description('Name of the network.')
param name string

@description('Region of the network.')
param location string

@description('Tags on the network.')
param tags object

@description('Address space, a /24 or larger; the app\'s subnet is a /26 of it, the endpoints\' a /27.')
param addressPrefix string

resource network 'Microsoft.Network/virtualNetworks@2024-05-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    addressSpace: {
      addressPrefixes: [
        addressPrefix
      ]
    }
    subnets: [
      {
        name: 'app'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 26, 0)
          delegations: [
            {
              name: 'flex-consumption'
              properties: {
                serviceName: 'Microsoft.App/environments'
              }
            }
          ]
        }
      }
      {
        name: 'endpoints'
        properties: {
          addressPrefix: cidrSubnet(addressPrefix, 27, 2)
          privateEndpointNetworkPolicies: 'Disabled'
        }
      }
    ]
  }
}

@description('Resource id of the network.')
output id string = network.id

@description('Subnet that the app is integrated with.')
output appSubnetId string = '${network.id}/subnets/app'

@description('Subnet that private endpoints are in.')
output endpointSubnetId string = '${network.id}/subnets/endpoints'
